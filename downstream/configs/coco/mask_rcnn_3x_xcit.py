"""Mask R-CNN 3x on COCO from XCiT, patch 16, on the pyramid that XCiT's own dense code makes of it.

Source: facebookresearch/xcit @82f5291, detection/configs/xcit/*_3x (S12: 45.3 box AP, 40.8 mask AP). mmdet's Swin 3x
file, inherited, has the same augmentation and optimizer; restated: 500 iterations of warm-up where that has 1,000.
The source trains in float16 (``--amp``).
"""

_base_ = ["mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco.py", "../xcit.py"]
model = dict(
    backbone={{_base_.xcit}},
    neck=[
        {{_base_.xcit_pyramid}},
        dict(type="FPN", in_channels=[384] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(_delete_=True, norm=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]
