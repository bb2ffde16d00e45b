"""The kinds of Transformers' models that are tested, and what does not work of them."""

from headstart.contracts import Family

_IN_WINDOWS = "it reads in windows: no graph holds for texts of every length"
_NO_RESIZE = "ONNX has no antialiased bicubic resize, by which it fits its positions"

_ENCODERS = ("BERT", "RoBERTa", "XLM-RoBERTa", "DistilBERT", "ELECTRA", "MPNet", "ALBERT")
_DECODERS = ("GPT-2", "LLaMA", "OPT")
_ENCODER_DECODERS = (
    *("T5", "mT5", "BART", "Pegasus", "Marian", "mBART", "mBART-50", "M2M100", "NLLB", "BERT2BERT"),
    "T5 encoder",
)
_PICTURES = (
    *("ViT", "DeiT", "BEiT", "Data2Vec", "DINOv2", "CLIP vision", "SigLIP vision", "Swin", "Swin v2"),
    *("ConvNeXt", "ConvNeXt v2", "ResNet", "RegNet", "BiT", "PVT v2", "PoolFormer", "MobileNet v2"),
    *("MobileViT", "SegFormer", "UperNet", "DPT", "Mask2Former", "timm wrapper"),
)

FAMILIES = (
    *(Family(name=name, takes="text") for name in (*_ENCODERS, "Sentence-Transformers", *_DECODERS)),
    *(Family(name=name, takes="text") for name in _ENCODER_DECODERS),
    Family(name="LED", takes="text", lacks={"onnxruntime": _IN_WINDOWS, "openvino": _IN_WINDOWS}),
    *(Family(name=name, takes="picture") for name in _PICTURES),
    Family(
        name="DINOv2 with registers",
        takes="picture",
        lacks={"onnxruntime": _NO_RESIZE, "openvino": _NO_RESIZE},
    ),
)
