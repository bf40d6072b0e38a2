from .survey import SiteFinding as SiteFinding
from .survey import SiteReport as SiteReport
from .survey import Survey as Survey
from .survey import classify_site as classify_site
from .survey_files import draw_survey as draw_survey
from .survey_files import survey_record as survey_record
from .survey_files import write_survey as write_survey
from .surveying import survey_sites as survey_sites

__all__ = [
    "SiteFinding",
    "SiteReport",
    "Survey",
    "classify_site",
    "draw_survey",
    "survey_record",
    "survey_sites",
    "write_survey",
]
