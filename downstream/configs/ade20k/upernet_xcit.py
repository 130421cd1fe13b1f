"""UPerNet on ADE20K from XCiT, patch 16, on the pyramid that XCiT's own dense code makes of it.

Source: facebookresearch/xcit @82f5291, semantic_segmentation/configs/xcit/upernet (S12: 45.9 mIoU from weights of
384 px with distillation, which are not this suite's). mmseg's Swin file, inherited, has the same optimizer, schedule,
crop and auxiliary head; the schedule is restated.
"""

_base_ = ["mmseg::swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py", "../xcit.py"]
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone={{_base_.xcit}},
    neck={{_base_.xcit_pyramid}},
    decode_head=dict(in_channels=[384] * 4),
    auxiliary_head=dict(in_channels=384),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(_delete_=True, norm=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=160000),
]
