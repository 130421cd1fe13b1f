"""Semantic FPN on ADE20K from PVT.

Source: whai362/PVT @57e2dfa, segmentation/configs/sem_fpn/PVT/fpn_pvt_*_ade20k_40k.py: 8 x 4 images, AdamW at 2e-4,
no parameter exempt from decay, images aligned to 32 px at test (mIoU T 36.6, S 41.9, M 43.5, L 43.5).
Schedule restated: mmseg's own ends at 1e-4.
"""

_base_ = "mmseg::sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py"
custom_imports = dict(imports=["downstream.backbone"])
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True, type="TimmTransformer", model="pvt_small", out_indices=(0, 1, 2, 3), drop_path_rate=0.1
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
optim_wrapper = dict(
    _delete_=True, type="OptimWrapper", optimizer=dict(type="AdamW", lr=2e-4, betas=(0.9, 0.999), weight_decay=1e-4)
)
train_cfg = dict(max_iters=40000, val_interval=4000)
param_scheduler = [dict(type="PolyLR", eta_min=0.0, power=0.9, by_epoch=False, begin=0, end=40000)]
default_hooks = dict(checkpoint=dict(interval=4000))
train_dataloader = dict(batch_size=4)
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(2048, 512), keep_ratio=True),
    dict(type="ResizeToMultiple", size_divisor=32),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="PackSegInputs"),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
