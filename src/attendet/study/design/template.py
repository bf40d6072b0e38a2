"""The study.yaml that `attendet study init` writes."""

STUDY = """\
# Does attention help? `attendet study plan study.yaml` estimates the cost; `attendet study run study.yaml` runs it.

name: first
model: yolov5n              # base model: a bundled name or a model file
# weights: yolov5n.pt       # weights that all arms start from (default: from scratch)
data: data.yaml             # a data.yaml, a folder, or a COCO JSON

recipe:                     # settings of all arms, as in attendet train --set
  schedule.epochs: 20
  schedule.imgsz: 320

arms:                       # the arms to compare
  baseline:                 # the base model without changes
  cbam-sppf:
    attention: cbam@before:SPPF
    control: conv-sppf      # the arm with as many parameters in the same place, without attention
  conv-sppf:
    attention: control-conv1x1:like=cbam@before:SPPF
  cbam-neck: cbam@neck      # short form; with options and several: [cbam:reduction=8@neck, se@after:C3]
  larger:                   # would the next larger model be a better use of the time?
    model: yolov5s

baseline: baseline          # the arm that the others are compared with
seeds: 8                    # 0 to 7, or a list; at least six, see attendet study plan
# looks: [6, 8]             # numbers of seeds after which the study may end: attendet study run --until-settled
# matters: 0.01             # smallest difference that matters, in units of the metric
metric: map50_95            # the metric that decides: map50_95, map50, precision, or recall,
last_epochs: 3              # averaged over the last epochs; no best epoch is selected
fractions: [1]              # fractions of the training images; [0.25, 0.5, 1] shows whether an arm needs more data
budget_hours: 12            # attendet study plan warns if the study takes longer
# spread: 0.01              # expected standard deviation of paired differences, in units of the metric
"""
