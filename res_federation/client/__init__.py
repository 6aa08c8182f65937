"""What users import: the federation from Python, asynchronous and synchronous, same words.

    from res_federation.client import Federation, job_from_script

    with Federation("127.0.0.1:7443") as federation:
        job = federation.submit(job_from_script(text, options=["--time", "10:00"]))
        (job,) = federation.wait([job.id])

This room gives model values out and takes model values in; protobuf stays inside.  Every failure
is raised as the class of `res_federation.errors` that the broker raised.
"""

from res_federation.client.asynchronous import FederationClient
from res_federation.client.scripts import job_from_script
from res_federation.client.site_view import SiteState, SiteView
from res_federation.client.synchronous import Federation

__all__ = ["Federation", "FederationClient", "SiteState", "SiteView", "job_from_script"]
