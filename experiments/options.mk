# Written by 'python -m experiments options' from the fields of experiments.study.Study; a test compares.
## SCALE=smoke|tiny|desk|lab|paper|cifar100|in100  size of models, data and training
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
## WEIGHTS=timm|DIR|ROW=FILE,...  public weights to measure, nothing is trained: 'timm' downloads them, else a folder of files, or a file a row
## PROTOCOL=per_image|published  protocol of the sweeps (occlusion)
## RESULTS=DIR  folder of all results
## DATA=DIR  folder of embedded data
## SET=SETTING=VALUE  recipe settings to change
VARIABLES := SCALE ROWS METHODS SEEDS IMAGENET IMAGENET_A IMAGENET_O ADE20K COCO PASCAL_CONTEXT DINO WEIGHTS PROTOCOL RESULTS DATA SET
quoted = '$(subst ','\'',$($1))'
STUDY = \
  $(if $(filter-out tiny,$(SCALE)),--scale $(call quoted,SCALE)) \
  $(if $(ROWS),--rows $(call quoted,ROWS)) \
  $(if $(METHODS),--methods $(call quoted,METHODS)) \
  $(if $(SEEDS),--seeds $(call quoted,SEEDS)) \
  $(if $(IMAGENET),--imagenet $(call quoted,IMAGENET)) \
  $(if $(IMAGENET_A),--imagenet-a $(call quoted,IMAGENET_A)) \
  $(if $(IMAGENET_O),--imagenet-o $(call quoted,IMAGENET_O)) \
  $(if $(ADE20K),--ade20k $(call quoted,ADE20K)) \
  $(if $(COCO),--coco $(call quoted,COCO)) \
  $(if $(PASCAL_CONTEXT),--pascal-context $(call quoted,PASCAL_CONTEXT)) \
  $(if $(DINO),--dino $(call quoted,DINO)) \
  $(if $(WEIGHTS),--weights $(call quoted,WEIGHTS)) \
  $(if $(PROTOCOL),--protocol $(call quoted,PROTOCOL)) \
  $(if $(filter-out results,$(RESULTS)),--results $(call quoted,RESULTS)) \
  $(if $(filter-out data,$(DATA)),--data $(call quoted,DATA)) \
  $(foreach one,$(SET),--set $(call quoted,one))
