"""UPerNet on ADE20K from CaiT. No recipe is public: this is XCiT's, whose layout of blocks is the same.

The maps are those of the blocks at a quarter, half, three quarters and the end, as in XCiT's of 24 blocks.
"""

_base_ = "upernet_xcit.py"
model = dict(
    backbone=dict(model="cait_xxs36_224", out_indices=(8, 17, 26, 35), img_size=512, drop_path_rate=0.0),
    neck=dict(embed_dim=192),
    decode_head=dict(in_channels=[192] * 4),
    auxiliary_head=dict(in_channels=192),
)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(pos_embed=dict(decay_mult=0.0)))  # as in DeiT's; XCiT has no such table
)
