"""UPerNet on ADE20K from a plain DeiT: four maps of stride 16, no neck.

Source: mmseg's vit_deit-s16_upernet_8xb2-160k (42.87 mIoU, 43.79 multi scale and flipped), inherited. Restated: its
iterations and schedule, because the shipped file trains for 80,000; odd sizes are padded at test.
"""

_base_ = "mmseg::vit/vit_deit-s16_upernet_8xb2-160k_ade20k-512x512.py"
custom_imports = dict(imports=["downstream.backbone"])
model = dict(
    pretrained=None,
    data_preprocessor=dict(test_cfg=dict(size_divisor=32)),
    backbone=dict(
        _delete_=True,
        type="TimmTransformer",
        model="deit_small_patch16_224",
        out_indices=(2, 5, 8, 11),
        img_size=512,
        drop_path_rate=0.1,
    ),
)
train_cfg = dict(max_iters=160000)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=160000),
]
