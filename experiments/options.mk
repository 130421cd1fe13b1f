# Written by 'python -m experiments options' from the fields of experiments.study.Study; a test compares.
## SCALE=smoke|tiny|lab|paper  size of models, data and training
## ROWS=ROW,...  rows of Table 1, or 'all'
## METHODS=METHOD,...  ways to mix beside baseline and transmix, or 'all' that can be trained
## SEEDS=N  seeds 0 to N-1
## IMAGENET=[NAME:]PATH  class folders, PATH/{train,val}/<class>/*, or timm's NAME of a data set (torch/cifar100, wds, hfds, ...)
## IMAGENET_A=PATH  class folders of ImageNet-A, PATH/<class>/* (Table 5)
## IMAGENET_O=PATH  class folders of ImageNet-O, PATH/<class>/* (Table 5)
## ADE20K=PATH  ADEChallengeData2016, as published
## COCO=PATH  COCO, or a set in its format
## PASCAL_CONTEXT=PATH  VOCdevkit/VOC2010 with Pascal Context, as published
## DINO=FILE  DINO ViT-S/16 weights: where the foreground is (occlusion)
## PROTOCOL=per_image|published  protocol of the sweeps (occlusion)
## RESULTS=DIR  folder of all results
## DATA=DIR  folder of embedded data
## SET=SETTING=VALUE  recipe settings to change
STUDY := $(if $(filter-out tiny,$(SCALE)),--scale '$(SCALE)') \
  $(if $(ROWS),--rows '$(ROWS)') \
  $(if $(METHODS),--methods '$(METHODS)') \
  $(if $(SEEDS),--seeds '$(SEEDS)') \
  $(if $(IMAGENET),--imagenet '$(IMAGENET)') \
  $(if $(IMAGENET_A),--imagenet-a '$(IMAGENET_A)') \
  $(if $(IMAGENET_O),--imagenet-o '$(IMAGENET_O)') \
  $(if $(ADE20K),--ade20k '$(ADE20K)') \
  $(if $(COCO),--coco '$(COCO)') \
  $(if $(PASCAL_CONTEXT),--pascal-context '$(PASCAL_CONTEXT)') \
  $(if $(DINO),--dino '$(DINO)') \
  $(if $(PROTOCOL),--protocol '$(PROTOCOL)') \
  $(if $(filter-out results,$(RESULTS)),--results '$(RESULTS)') \
  $(if $(filter-out data,$(DATA)),--data '$(DATA)') \
  $(foreach one,$(SET),--set '$(one)')
