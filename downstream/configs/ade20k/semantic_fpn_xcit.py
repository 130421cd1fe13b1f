"""Semantic FPN on ADE20K from XCiT, patch 16, on the pyramid that XCiT's own dense code makes of it.

Source: facebookresearch/xcit @82f5291, semantic_segmentation/configs/xcit/sem_fpn: 8 x 2 images, 80,000 iterations
(S12: 43.9 mIoU from weights of 384 px with distillation, which are not this suite's). Its optimizer and warm-up are
those of its UPerNet. Schedule restated: mmseg's own ends at 1e-4, above this learning rate.
"""

_base_ = ["mmseg::sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512.py", "../xcit.py"]
model = dict(
    pretrained=None,
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone={{_base_.xcit}},
    neck=[
        {{_base_.xcit_pyramid}},
        dict(type="FPN", in_channels=[384] * 4, out_channels=384, num_outs=4),
    ],
    decode_head=dict(in_channels=[384] * 4),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.0))),
)
train_cfg = dict(max_iters=80000, val_interval=8000)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=80000),
]
default_hooks = dict(checkpoint=dict(interval=8000))
train_dataloader = dict(batch_size=2)
