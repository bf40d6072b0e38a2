"""What `attendet study init` writes."""

STUDY = """\
# Does it help? attendet study plan study.yaml says what it takes, attendet study run study.yaml does it.

name: first
model: yolov5n              # base model: a bundled name or a model file
# weights: yolov5n.pt       # what all arms start from; without it, afresh
data: data.yaml             # a data.yaml, a folder, or a COCO json

recipe:                     # the same for all arms, as for attendet train --set
  schedule.epochs: 20
  schedule.imgsz: 320

arms:                       # what is compared; as few as the question needs, for each one more costs seeds
  baseline:                 # the base model as it is
  cbam-sppf:
    attention: cbam@before:SPPF
    control: conv-sppf      # the arm with as many parameters in the same place, and no attention
  conv-sppf:
    attention: control-conv1x1:like=cbam@before:SPPF
  cbam-neck: cbam@neck      # in short; options and several: [cbam:reduction=8@neck, se@after:C3]
  larger:                   # would the next larger model have been the better use of the time?
    model: yolov5s

baseline: baseline          # what the others are compared with
seeds: 8                    # 0 to 7, or a list; six can reach p = 0.05 in one comparison, eight in up to six
metric: map50_95            # the one number that decides: map50_95, map50, precision or recall,
last_epochs: 3              # averaged over the last epochs; no best epoch is picked
fractions: [1]              # shares of the training images; [0.25, 0.5, 1] asks whether an arm needs more data
budget_hours: 12            # attendet study plan warns where it takes longer
# spread: 0.01              # standard deviation of paired differences that is expected, in units of the metric
"""
