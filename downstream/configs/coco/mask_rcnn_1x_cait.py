"""Mask R-CNN 1x on COCO from CaiT. No recipe is public: this is XCiT's, whose layout of blocks is the same."""

_base_ = "mask_rcnn_1x_xcit.py"
model = dict(
    backbone=dict(model="cait_xxs36_224", out_indices=(8, 17, 26, 35), drop_path_rate=0.0),
    neck=[
        dict(type="mmseg.Feature2Pyramid", embed_dim=192, rescales=[4, 2, 1, 0.5]),
        dict(type="FPN", in_channels=[192] * 4, out_channels=256, num_outs=5),
    ],
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.0))))  # as in DeiT's
