"""Options of each baseline: one dataclass with the values of its release, and OPTIONS, by the name of its file.

What choosing one sets elsewhere is ``studies/baselines/NAME.yaml``. ``model.ranges`` says what a field's type means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from model.ranges import SCORING, Amount, BelowOne, Count, Divisor, Natural, Odd, Positive, Share


@dataclass(frozen=True)
class ProposedOptions:
    """The paper's baseline: video branch and attention branch per stream (Section 3.1, Appendix E.1)."""

    lambda_a: Amount = 1.0  # lambda_A, Eq. 16 (released: 2 under a mean over streams)
    gamma: Share = 0.7  # gamma of generalised BCE, Eq. 2; 0 is BCE (Table 9)
    per_video: bool = False  # L_A normalised per video instead of per batch (released), Eq. 2
    guard: Amount = 0.0  # added inside powers and denominators of L_A (released: 1e-7), Eq. 2
    label_norm: Amount = 0.0  # Y / sum(Y)^label_norm in L_V (released: 1), Eq. 1
    label_floor: Amount = 0.0  # added to the label of L_V (released: 1e-10), Eq. 1
    omega: Share = 0.25  # omega of the calibrated T-CAS in training, Appendix E.1
    omega_test: Share = field(default=0.25, metadata=SCORING)  # omega in testing (released: 0.2)
    topk: Divisor = 8  # K = T // topk snippets are selected per class, Eq. 18
    kernel: Odd = 3  # temporal kernel of the embedding encoders (released: 1), Appendix E.3


@dataclass(frozen=True)
class AslOptions(ProposedOptions):
    """ASL (Ma et al., 2021): the fields of the paper's baseline with the values of ASL's release."""

    lambda_a: Amount = 2.0  # weight of the attention loss under a mean over streams (released: their sum)
    per_video: bool = True  # normalised per video
    guard: Amount = 1e-7  # added inside powers and denominators of L_A
    label_norm: Amount = 1.0  # video labels sum to 1
    label_floor: Amount = 1e-10  # added to the video labels
    omega: Share = 1 / 3  # (softmax(cas) + A_rgb + A_flow) / 3 selects
    omega_test: Share = field(default=1 / 3, metadata=SCORING)  # and is thresholded
    kernel: Odd = 1  # temporal kernel of all encoders


@dataclass(frozen=True)
class BasnetOptions:
    """BaS-Net (Lee et al., 2020): base and suppression branch with shared weights."""

    alpha: Amount = 1e-4  # weight of the attention's sparsity, a sum over time
    for_snippets: Natural = 750  # T for which alpha is stated, carried over to the T of the data; 0: as it is
    topk: Divisor = 8  # T // topk snippets are pooled per class
    dropout: BelowOne = 0.7  # before the last layer, its own mask per branch
    channels: Natural = 0  # hidden channels of the T-CAS module; 0: as many as features enter (released: 2048)
    lambda_a: Amount = 0.0  # weight of Eq. 2 on the attention, which the released baseline lacks
    gamma: Share = 0.7  # gamma of that loss
    cat_gain: Amount = field(default=1.0, metadata=SCORING)  # how far CAT moves the thresholded sequence
    skip_only_class_zero: bool = field(default=True, metadata=SCORING)  # released: {class 0} alone gets no entry


@dataclass(frozen=True)
class WumOptions:
    """WUM (Lee et al., 2021): the length of a snippet's embedding tells action from background."""

    alpha: Amount = 5e-4  # weight of the uncertainty loss
    beta: Amount = 1.0  # weight of the background-entropy loss
    margin: Amount = 100.0  # length that the mean pseudo-action embedding should reach
    for_channels: Natural = 2048  # channels for which margin and alpha are stated: lengths grow as their root; 0: as is
    r_act: Divisor = 9  # T // r_act pseudo-action snippets
    r_bkg: Divisor = 4  # T // r_bkg pseudo-background snippets
    dropout: BelowOne = 0.7  # before the classifier, and of the mask over time
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    attention: Literal["ends", "margin"] = "ends"  # P^A of magnitudes: between video means, or min(m, margin) / margin


@dataclass(frozen=True)
class UntrimmedOptions:
    """UntrimmedNets (Wang et al., 2017) with soft selection, on given features; localisation is the preset's."""

    topk: Divisor = 8  # T // topk snippets per class are foreground (for CASE)
    kernel: Odd = 1  # temporal kernel of the encoder


@dataclass(frozen=True)
class ColaOptions:
    """CoLA (Zhang et al., 2021): snippet contrast between easy and hard snippets."""

    weight: Amount = 0.01  # lambda: weight of the snippet contrast
    temperature: Positive = 0.07  # of the contrast
    r_easy: Divisor = 5  # T // r_easy easy snippets, also pooled per class
    r_hard: Divisor = 20  # T // r_hard hard snippets
    inner: Count = 3  # m: smaller structure of erosion and dilation
    outer: Count = 6  # M: larger structure
    dropout: BelowOne = 0.7  # before the classifier
    mask: Share = 0.6  # share of the time line hidden from the easy mining
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)


@dataclass(frozen=True)
class AcmnetOptions:
    """ACM-Net (Qu et al., 2021): attention of action instance, action context and background."""

    guide: Amount = 2e-3  # weight of the guide loss
    separation: Amount = 5e-5  # weight of feature separation
    sparsity: Amount = 2e-4  # weight of attention sparsity; like the guide a sum over time
    margin: Amount = 50.0  # between the lengths of instance, context and background embeddings
    for_channels: Natural = 2048  # channels for which margin and separation are stated; 0: as they are
    r_instance: Divisor = 8  # T // r snippets are pooled per class in each branch
    r_context: Divisor = 3
    r_background: Divisor = 3
    instance: Amount = 1.0  # weight of the instance loss (ActivityNet: 5)
    dropout: BelowOne = 0.7  # of the mask over time, and before the classifier
    early_dropout: BelowOne = 0.0  # of the features, and before the attention (ActivityNet: 0.7)
    log_guard: Amount = 0.0  # added inside logarithms (FTCL)
    cas_bonus: Share = field(default=1.0, metadata=SCORING)  # of oic_gamma in the T-CAS' proposals (ActivityNet: 0)
    cas_weight: Share = field(default=1.0, metadata=SCORING)  # share of the T-CAS under the contrast (ActivityNet: 0.7)
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)


@dataclass(frozen=True)
class WtalcOptions:
    """W-TALC (Paul et al., 2018): k-max MIL and co-activity similarity."""

    share: Share = 0.5  # lambda: weight of the MIL loss, 1 - lambda of co-activity similarity
    delta: Amount = 0.5  # margin of the similarity hinge
    s: Count = 8  # ceil(T / s) snippets are pooled per class
    dropout: BelowOne = 0.7  # before the classifier (paper: 0.5)
    similar: Literal["drawn", "all"] = "drawn"  # pairs compared: training.pairs of the batch, or all (paper)
    dropped: bool = True  # the similarity sees the embedding after dropout (released)
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    cat_gain: Amount = field(default=1.0, metadata=SCORING)  # how far CAT moves the thresholded sequence, in its range


@dataclass(frozen=True)
class Co2netOptions:
    """CO2-Net (Hong et al., 2021): streams filter each other, two attentions, suppressed T-CAS."""

    k: Divisor = 7  # T // k snippets are pooled per class
    k_test: Divisor = field(default=10, metadata=SCORING)  # the same in testing
    contrast: Amount = 1.0  # weight of the co-activity of drawn pairs
    mutual: Amount = 1.0  # weight of mutual learning of the attentions
    norm: Amount = 0.8  # weight of their means
    guide: Amount = 0.8  # weight of their agreement with 1 - background
    delta: Amount = 0.5  # margin of the co-activity hinge
    label_guard: Amount = 1e-4  # added to the sum by which labels are divided
    slope: Amount = 0.2  # of LeakyReLU below 0
    dropout: BelowOne = 0.7  # of the fused embedding, and before the classifier
    dropout_last: BelowOne = 0.7  # before its last layer
    dropout_attention: BelowOne = 0.5  # inside filter and attention, and of the attention logit


@dataclass(frozen=True)
class DeluOptions(Co2netOptions):
    """DELU (Chen et al., 2022): CO2-Net with evidential uncertainty."""

    guide: Amount = 0.4  # weight of the attentions' agreement with 1 - background
    evidence: Amount = 1.3  # weight of the video evidence
    uncertainty_guide: Amount = 0.4  # weight of the uncertainty-guided agreement
    r_att: Divisor = 9  # T // r_att most attended snippets give a video's evidence
    amplitude: Share = 0.7  # of the curriculum over uncertainty
    max_iterations: Count = 5000  # steps after which certain snippets count as much as uncertain ones did at first
    for_steps: Natural = 5000  # steps for which that is stated, carried over to the training's; 0: as it is
    rank: Literal["exact", "argsort"] = "argsort"  # released: the index of the t-th least uncertain for t's rank


@dataclass(frozen=True)
class RskpOptions:
    """RSKP (Huang et al., 2022): representative snippets by EM, random walk, and a memory over videos."""

    scale: Positive = 20.0  # S, scale of cosines
    soft: Positive = 0.2  # temperature of pseudo-labels
    walk: BelowOne = 0.5  # w of the random walk
    tokens: Count = 8  # K representative snippets of a video
    rounds: Count = 2  # of EM
    memory: Count = 5  # tokens of the memory per class
    attention: Amount = 0.1  # weight of the attention's contrast
    background: Amount = 0.2  # weight of classification with background
    pseudo: Amount = 1.0  # weight of pseudo-labels
    pseudo_memory: Amount = 0.5  # the same after the warm-up
    memory_head: Amount = 0.5  # weight of the memory's classifications
    s_att: Divisor = 8  # L // s_att most and least attended snippets
    dropout: BelowOne = 0.6  # of the embedding
    warm_up: Natural = 101  # steps (released: epochs) before the memory is filled and used
    for_steps: Natural = 200  # steps for which that is stated, carried over to the training's; 0: as it is
    original: Share = field(default=0.6, metadata=SCORING)  # share of the original head in testing


@dataclass(frozen=True)
class FtclOptions(AcmnetOptions):
    """FTCL (Gao et al., 2022): ACM-Net with two contrasts of snippet sequences of video pairs."""

    log_guard: Amount = 1e-10  # added inside logarithms
    lcs: Amount = 0.1  # weight of the longest common subsequence
    fsd: Amount = 0.8  # weight of the fine-grained sequence distance
    threshold: Share = 0.92  # similarity from which two snippets match
    offset: Share = 0.0  # similarity is stretch max(0, cosine - offset)
    stretch: Positive = 1.0
    lcs_len: Divisor = 30  # snippets compared by the subsequence, by attention
    fsd_len: Divisor = 5  # snippets compared by the distance
    smooth: Positive = 0.1  # temperature of the smooth maximum
    transform: Count = 1024  # channels of the transform, half for matches, half for gaps
    pairs: Literal["beside", "within"] = "beside"  # videos 2i and 2i + 1 are pairs, or all of a batch
    pretraining: Natural = 500  # steps (released: epochs) with pairs within a batch, offset 0.8 and stretch 5
    for_steps: Natural = 525  # steps for which that is stated, carried over to the training's; 0: as it is


@dataclass(frozen=True)
class FacnetOptions:
    """FAC-Net (Huang et al., 2021): foreground-action consistency by three heads on cosines."""

    scale: Positive = 5.0  # S, scale of cosines
    temperatures: tuple[float, ...] = (1.0, 2.0, 5.0)  # of the softmaxes over time
    class_wise: Amount = 1.0  # weight of the class-wise foreground head
    class_agnostic: Amount = 0.1  # weight of the class-agnostic attention head
    mil: Amount = 0.1  # weight of multiple instance learning
    dropout: BelowOne = 0.5  # after both layers
    topk: Divisor = 8  # T // topk snippets per class are foreground (for CASE)
    rgb_scale: Positive = field(default=0.1, metadata=SCORING)  # of the first stream's sequence in testing


@dataclass(frozen=True)
class D2netOptions:
    """D2-Net (Narayan et al., 2021): discriminative and denoising losses on two streams."""

    gamma: Amount = 0.01  # weight of the separation of means in the focal weights
    snippet: Amount = 0.1  # weight of the snippet-level denoising loss
    video: Amount = 0.1  # weight of the video-level denoising loss
    topk: Divisor = 8  # ceil(L / topk) snippets are pooled per class
    slope: Amount = 0.2  # of LeakyReLU below 0
    dropout: BelowOne = 0.7  # of the embedding
    momentum: Share = 0.9  # of the running background
    denoise_after: Natural = 1000  # steps after which every second one has the denoising losses
    for_steps: Natural = 20000  # steps for which that is stated, carried over to the training's; 0: as it is


@dataclass(frozen=True)
class AsmlocOptions:
    """ASM-Loc (He et al., 2022): action-aware segments; without ``segments`` it is its base model."""

    segments: Natural = 0  # at most so many pseudo segments a video (released: 20); 0: the base model, which needs none
    refresh: Natural = 100  # steps (released: epochs) from the start, and then between making segments anew; 0: never
    rounds: Natural = 3  # how often they are made
    for_steps: Natural = 800  # steps for which that is stated, carried over to the training's; 0: as it is
    restart: bool = True  # new weights whenever segments are made (released); false: one model goes on (paper)
    dynamic: bool = True  # snippets of short segments are sampled more often
    surest: Share = 0.7  # alpha: share of a class' scores whose detections count there
    widen: Amount = 0.5  # delta: segments are widened on both sides by this share of their length
    upsample: Positive = 6.0  # gamma: short segments are sampled as if of gamma (2 delta + 1) snippets
    foreground: Amount = 1.0  # weights of the losses
    background: Amount = 0.5
    action_background: Amount = 0.5
    beta: Amount = 0.2  # weight of the mean uncertainty
    heads: Count = 8  # of the attention among snippets and among segments
    r_foreground: Divisor = 8  # T // r snippets are pooled per class
    r_background: Divisor = 3
    dropout: BelowOne = 0.7  # of the mask over time, and before the classifier
    early_dropout: BelowOne = 0.0  # of the features, before the attention and of the uncertainty (ActivityNet: 0.7)
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)


PADDED = ("wtalc", "facnet", "rskp", "d2net")  # baselines whose losses leave padding out: videos may differ in length

OPTIONS: Mapping[str, type] = {
    "proposed": ProposedOptions,
    "asl": AslOptions,
    "basnet": BasnetOptions,
    "wum": WumOptions,
    "untrimmed": UntrimmedOptions,
    "wtalc": WtalcOptions,
    "cola": ColaOptions,
    "acmnet": AcmnetOptions,
    "co2net": Co2netOptions,
    "delu": DeluOptions,
    "rskp": RskpOptions,
    "ftcl": FtclOptions,
    "facnet": FacnetOptions,
    "d2net": D2netOptions,
    "asmloc": AsmlocOptions,
}
