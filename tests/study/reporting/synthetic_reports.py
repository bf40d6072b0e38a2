"""Reports of synthetic studies."""

from attendet.study.folder import read_study
from attendet.study.reporting.outcome import make_study_report
from tests.helpers.synthetic_studies import design, write_study

ARMS = "{baseline: , cbam: {attention: 'cbam@before:SPPF', control: control}, control: 'control-conv1x1@before:SPPF'}"


def report_of(folder, arms=ARMS, effects=None, seeds="8", **others):
    return make_study_report(read_study(write_study(folder, design(arms, seeds), effects or {}, **others)))


def contrasts(report):
    return {(each.arm, each.against): each for each in report.contrasts}
