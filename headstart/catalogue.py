"""What is known beforehand of pretrained models: how well they did where they come from, and their size.

Scores are compared only where they are of one kind. ImageNet-1k: top-1 accuracy in per cent at the model's
own size, from timm's results/results-imagenet.csv and torchvision's own weights' metadata. Sentence
embeddings: the mean over 14 data sets in Sentence-Transformers' table of pretrained models. Parameters are
those of the whole model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

IMAGENET, SENTENCES = "ImageNet-1k top-1", "sentence embeddings, 14 data sets"


@dataclass(frozen=True, slots=True)
class Known:
    """A model's score where it comes from, the kind of score, and its parameters in millions."""

    score: float
    kind: str
    parameters_m: float


def _all(source: str, kind: str, table: str) -> dict[str, Known]:
    rows = (line.split() for line in table.strip().splitlines())
    return {f"{source}:{name}": Known(float(score), kind, float(size)) for name, score, size in rows}


CATALOGUE: Mapping[str, Known] = {
    **_all("pack", IMAGENET, """
        efficientnet-lite0 74.83 4.65
        efficientnet-lite1 76.64 5.42
        efficientnet-lite2 77.46 6.09
        squeezenet1_1      58.18 1.24
        vgg16-hed          71.59 138.36
    """),
    **_all("timm", IMAGENET, """
        tinynet_e.in1k                                59.87 2.04
        mobilenetv3_small_100.lamb_in1k               67.66 2.54
        resnet18.a1_in1k                              73.16 11.69
        mobilenetv2_100.ra_in1k                       72.98 3.50
        deit_tiny_patch16_224.fb_in1k                 72.17 5.72
        ghostnet_100.in1k                             73.98 5.18
        tf_efficientnet_lite0.in1k                    74.83 4.65
        vit_tiny_patch16_224.augreg_in21k_ft_in1k     75.45 5.72
        efficientnet_lite0.ra_in1k                    75.48 4.65
        mobilenetv3_large_100.ra_in1k                 75.77 5.48
        convnext_atto.d2_in1k                         77.01 3.70
        tf_efficientnet_lite2.in1k                    77.46 6.09
        efficientnet_b0.ra_in1k                       77.69 5.29
        convnextv2_atto.fcmae_ft_in1k                 77.76 3.71
        resnet34.a1_in1k                              77.92 21.80
        mobilenetv3_large_100.miil_in21k_ft_in1k      77.92 5.48
        deit_small_patch16_224.fb_in1k                79.84 22.05
        convnext_pico.d1_in1k                         80.41 9.05
        resnet50.tv2_in1k                             80.85 25.56
        resnet50.a1_in1k                              81.21 25.56
        swin_tiny_patch4_window7_224.ms_in1k          81.38 28.29
        vit_small_patch16_224.augreg_in21k_ft_in1k    81.38 22.05
        convnext_nano.d1h_in1k                        81.48 15.59
        tf_efficientnet_lite4.in1k                    81.53 13.01
        deit_base_patch16_224.fb_in1k                 81.99 86.57
        vit_base_patch16_224.orig_in21k_ft_in1k       81.79 86.57
    """),
    **_all("torchvision", IMAGENET, """
        alexnet            56.52 61.10
        squeezenet1_1      58.18 1.24
        mobilenet_v3_small 67.67 2.54
        resnet18           69.76 11.69
        vgg16              71.59 138.36
        mobilenet_v2       72.15 3.50
        resnet34           73.31 21.80
        mobilenet_v3_large 75.27 5.48
        efficientnet_b0    77.69 5.29
        resnet50           80.86 25.56
        resnext50_32x4d    81.20 25.03
        convnext_tiny      82.52 28.59
    """),
    **_all("hf", SENTENCES, """
        sentence-transformers/paraphrase-albert-small-v2            64.46 11.7
        sentence-transformers/multi-qa-MiniLM-L6-cos-v1             64.33 22.7
        sentence-transformers/paraphrase-multilingual-mpnet-base-v2 65.83 278.0
        sentence-transformers/multi-qa-distilbert-cos-v1            65.98 66.4
        sentence-transformers/multi-qa-mpnet-base-dot-v1            66.76 109.5
        sentence-transformers/all-MiniLM-L6-v2                      68.06 22.7
        sentence-transformers/all-MiniLM-L12-v2                     68.70 33.4
        sentence-transformers/all-distilroberta-v1                  68.73 82.1
        sentence-transformers/all-mpnet-base-v2                     69.57 109.5
    """),
    **_all("pack", SENTENCES, "minilm-l6 68.06 22.7"),
}  # fmt: skip
