"""Mask R-CNN 1x on COCO from PVT.

Source: whai362/PVT @57e2dfa, detection/configs/mask_rcnn_pvt_*_fpn_1x (box/mask AP: T 36.7/35.1, S 40.4/37.8,
M 42.0/39.0, L 42.9/39.5). mmdet's ResNet-50 file, inherited, has the same data, schedule and heads.
"""

_base_ = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
custom_imports = dict(imports=["downstream.backbone"])
model = dict(
    backbone=dict(
        _delete_=True, type="TimmTransformer", model="pvt_small", out_indices=(0, 1, 2, 3), drop_path_rate=0.1
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4))
