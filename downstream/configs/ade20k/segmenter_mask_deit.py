"""Segmenter with a mask transformer on ADE20K from DeiT.

Source: rstrudel/segmenter @cef0808, segm/config.yml and README (DeiT-B: 48.7 mIoU, 50.1 multi scale; distilled, of
384 px): 64 epochs of 8 images are mmseg's 160,000 iterations, whose Segmenter is inherited. Restated after the
original: the normalisation of DeiT, no stochastic depth in the decoder, and a schedule that ends at 1e-5.
"""

_base_ = "mmseg::segmenter/segmenter_vit-s_mask_8xb1-160k_ade20k-512x512.py"
custom_imports = dict(imports=["downstream.backbone"])
model = dict(
    pretrained=None,
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], test_cfg=dict(size_divisor=32)),
    backbone=dict(
        _delete_=True,
        type="TimmTransformer",
        model="deit_small_patch16_224",
        out_indices=(11,),
        img_size=512,
        drop_path_rate=0.1,
        final_norm=True,
    ),
    decode_head=dict(drop_path_rate=0.0, drop_rate=0.1),
)
param_scheduler = [dict(type="PolyLR", eta_min=1e-5, power=0.9, by_epoch=False, begin=0, end=160000)]
# of segmenter_linear, in place of the mask transformer: mmseg's segmenter_vit-s_fcn
linear_head = dict(
    _delete_=True,
    type="FCNHead",
    in_channels=384,
    channels=384,
    num_convs=0,
    concat_input=False,
    dropout_ratio=0.0,
    num_classes=150,
    loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
)
