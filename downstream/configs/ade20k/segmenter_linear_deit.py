"""Segmenter with a linear decoder on ADE20K from DeiT: one 1 x 1 convolution on the last tokens.

Source: as segmenter_mask_deit (DeiT-B: 47.1 mIoU, 48.1 multi scale); the head is mmseg's segmenter_vit-s_fcn.
"""

_base_ = "segmenter_mask_deit.py"
model = dict(decode_head={{_base_.linear_head}})
