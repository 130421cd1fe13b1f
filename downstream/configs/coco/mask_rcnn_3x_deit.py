"""Mask R-CNN 3x on COCO from a plain DeiT, on the pyramid of mask_rcnn_3x_xcit.

Source: czczup/ViT-Adapter, detection/configs/mask_rcnn/mask_rcnn_deit_small_fpn_3x, for optimizer, schedule and drop
path. It attends within windows in most blocks and crops to 1,024 px at last; here every block attends to the whole
image, as in training, and the crops are XCiT's.
"""

_base_ = "mask_rcnn_3x_xcit.py"
model = dict(
    backbone=dict(model="deit_small_patch16_224", out_indices=(2, 5, 8, 11), drop_path_rate=0.1),
)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(pos_embed=dict(decay_mult=0.0), cls_token=dict(decay_mult=0.0)), bias_decay_mult=0.0
    )
)
