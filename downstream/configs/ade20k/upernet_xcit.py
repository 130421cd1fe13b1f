"""UPerNet on ADE20K from XCiT, patch 16, on the pyramid that XCiT's own dense code makes of it.

Source: facebookresearch/xcit @82f5291, semantic_segmentation/configs/xcit/upernet (S12: 45.9 mIoU from weights of
384 px with distillation, which are not this suite's). mmseg's Swin file, inherited, has the same optimizer, schedule,
crop and auxiliary head; the schedule is restated.
"""

_base_ = "mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py"
custom_imports = dict(imports=["downstream.backbone"])
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        _delete_=True,
        type="TimmTransformer",
        model="xcit_small_12_p16_224",
        out_indices=(3, 5, 7, 11),
        drop_path_rate=0.05,
    ),
    neck=dict(type="Feature2Pyramid", embed_dim=384, rescales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=[384] * 4),
    auxiliary_head=dict(in_channels=384),
)
sync_bn = "torch"  # XCiT has BatchNorm, and a GPU two images
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(_delete_=True, norm=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=160000),
]
