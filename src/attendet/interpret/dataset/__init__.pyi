from .findings import SiteFinding as SiteFinding
from .findings import SiteReport as SiteReport
from .findings import judge_site as judge_site
from .survey import Survey as Survey
from .survey_figure import draw_survey as draw_survey
from .survey_files import survey_record as survey_record
from .survey_files import write_survey as write_survey
from .surveying import survey_sites as survey_sites

__all__ = [
    "SiteFinding",
    "SiteReport",
    "Survey",
    "draw_survey",
    "judge_site",
    "survey_record",
    "survey_sites",
    "write_survey",
]
