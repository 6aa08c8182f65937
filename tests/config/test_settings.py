"""Arguments before environment before defaults; a wrong one is named as its person wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from res_federation.config.agent import agent_settings
from res_federation.config.broker import broker_settings
from res_federation.config.places import default_sites, resfed_home
from res_federation.config.policy import load_policy
from res_federation.errors import InvalidArgument
from res_federation.placement.policy import Policy


def test_defaults_of_a_broker():
    found = broker_settings(environment={"HOME": "/users/ana"})
    assert found.listen == "127.0.0.1:7443"
    assert found.home == Path("/users/ana/.local/state/resfed")
    assert found.database_url == "sqlite+aiosqlite:////users/ana/.local/state/resfed/broker.db"
    assert (found.lease_s, found.margin_s) == (900, 60)


def test_an_argument_goes_before_the_environment():
    words = {"RESFED_HOME": "/srv/a", "RESFED_LISTEN": "127.0.0.1:1", "RESFED_RAY_WORKERS": "0"}
    assert broker_settings(environment=words).listen == "127.0.0.1:1"
    found = broker_settings(listen="127.0.0.1:2", home=Path("/srv/b"), environment=words)
    assert (found.listen, found.home, found.ray_workers) == ("127.0.0.1:2", Path("/srv/b"), 0)


def test_an_empty_variable_is_not_set():
    assert broker_settings(environment={"RESFED_LISTEN": "", "HOME": "/h"}).listen.endswith("7443")


def test_the_driver_of_a_database_may_be_left_out():
    words = {"HOME": "/h", "RESFED_DB": "postgresql:///res"}
    assert broker_settings(environment=words).database_url == "postgresql+psycopg:///res"


@pytest.mark.parametrize(
    ("words", "given", "field", "why"),
    [
        ({"RESFED_LEASE_S": "soon"}, {}, "RESFED_LEASE_S", "'soon'"),
        ({"RESFED_LEASE_S": "nan"}, {}, "RESFED_LEASE_S", "finite"),
        ({"RESFED_RAY_WORKERS": "-1"}, {}, "RESFED_RAY_WORKERS", "greater than or equal to 0"),
        ({}, {"listen": "7443"}, "--listen", "HOST:PORT"),
        ({}, {"listen": "127.0.0.1:70000"}, "--listen", "HOST:PORT"),
        ({}, {"db": "mysql://x/y"}, "--db", "postgresql://"),
        ({"RESFED_LOG_LEVEL": "loud"}, {}, "RESFED_LOG_LEVEL", "'debug'"),
    ],
)
def test_a_wrong_setting_is_named(words, given, field, why):
    with pytest.raises(InvalidArgument) as caught:
        broker_settings(**given, environment={"HOME": "/h", **words})
    assert caught.value.field == field
    assert why in str(caught.value)


def test_settings_of_an_agent():
    assert agent_settings({}).beat_s == 5
    assert agent_settings({"RESFED_HOST_JOBS": "3"}).host_jobs == 3
    with pytest.raises(InvalidArgument, match="RESFED_BEAT_S"):
        agent_settings({"RESFED_BEAT_S": "0"})


@pytest.mark.parametrize(
    ("words", "home"),
    [
        ({"RESFED_HOME": "/srv/res", "XDG_STATE_HOME": "/s"}, "/srv/res"),
        ({"RESFED_HOME": "~/res", "HOME": "/h"}, "/h/res"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/resfed"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/resfed"),
    ],
)
def test_the_home_of_the_state(words, home):
    assert resfed_home(words) == Path(home)


def test_no_home_at_all():
    with pytest.raises(InvalidArgument, match="RESFED_HOME"):
        resfed_home({})


def test_the_catalogue_is_the_named_then_the_near_then_the_shipped_one(tmp_path):
    assert default_sites({"RESFED_SITES": "/srv/sites"}, tmp_path) == Path("/srv/sites")
    assert (default_sites({}, tmp_path) / "bsc" / "site.toml").is_file()
    (tmp_path / "sites" / "a").mkdir(parents=True)
    (tmp_path / "sites" / "a" / "site.toml").touch()
    assert default_sites({}, tmp_path) == tmp_path / "sites"


def test_a_policy_keeps_defaults_for_what_it_leaves_out(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text('name = "ours"\nseed = 7\n[accelerator_speed]\nh100 = 2.5\n', "utf-8")
    found = load_policy(file)
    assert (found.name, found.seed, found.accelerator_speed["h100"]) == ("ours", 7, 2.5)
    assert found.accelerator_speed["a100"] == Policy().accelerator_speed["a100"]
    assert found.idle_accelerator_s == Policy().idle_accelerator_s


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 7", r"policy.toml:1: sede: .*did you mean 'seed'"),
        ("seed = 1\nidle_accelerator_s = -1", r"policy.toml:2: .*at least 0"),
        ("[accelerator_speed]\nh10 = 2.0", r"policy.toml:1: .*did you mean 'h100'"),
        ("seed = ", r"policy.toml:1: "),
    ],
)
def test_a_wrong_policy_names_the_line(tmp_path, text, words):
    file = tmp_path / "policy.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidArgument, match=words):
        load_policy(file)
