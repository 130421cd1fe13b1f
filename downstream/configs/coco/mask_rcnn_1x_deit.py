"""Mask R-CNN 1x on COCO from a plain DeiT, on the pyramid of mask_rcnn_1x_xcit.

No recipe for a plain DeiT is public: this is the 3x recipe in 12 epochs, with mmdet's 1x images.
"""

_base_ = "mask_rcnn_1x_xcit.py"
model = dict(
    backbone=dict(model="deit_small_patch16_224", out_indices=(2, 5, 8, 11), drop_path_rate=0.1),
)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(pos_embed=dict(decay_mult=0.0), cls_token=dict(decay_mult=0.0)), bias_decay_mult=0.0
    )
)
