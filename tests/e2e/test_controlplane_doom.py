# SPDX-License-Identifier: Apache-2.0
"""What other tests do, while calls of the database and allocations fail, one in each request.

A request that failed is made again: what the tests then find is as if nothing had ever failed.
"""
import pytest

import test_controlplane_api as api
import test_controlplane_configs as configs
import test_controlplane_csr as csr
import test_controlplane_files as files
import test_controlplane_jobs as jobs
import test_controlplane_operator as operator
import test_controlplane_requests as requests
import test_controlplane_states as states
from harness import doom, wire
from test_controlplane_csr import scanned  # noqa: F401
from test_controlplane_jobs import web  # noqa: F401

pytestmark = pytest.mark.api

LENT = (
    api.test_discovery, api.test_a_token_is_used_up_by_one_host, api.test_manual_approval, api.test_a_host_that_is_denied,
    api.test_disabled_and_enabled_again, api.test_a_renewal_whose_answer_was_lost,
    api.test_two_copies_of_an_agent_are_quarantined, api.test_recovery_with_the_device_key, api.test_recovery_of_a_clone,
    configs.test_what_was_said_reaches_the_certificate, configs.test_a_declared_target_needs_no_scan_but_names,
    configs.test_abilities_come_from_the_agent, configs.test_a_change_names_the_revision_it_is_about,
    configs.test_a_certificate_that_was_there_is_taken_up, configs.test_run_orders_once,
    configs.test_issued_says_when_it_is_renewed, configs.test_proof_by_hand,
    csr.test_names_and_key_are_those_of_what_is_installed, csr.test_a_change_takes_what_is_installed_as_the_first_time,
    csr.test_a_subject_with_units, csr.test_the_request_of_the_last_order_again,
    files.test_a_scan_counts_when_its_last_page_came, files.test_pages_again_and_in_any_order,
    files.test_an_empty_scan_empties_the_list, files.test_filters,
    jobs.test_offers_are_repeated_until_they_are_leased, jobs.test_a_lease_and_its_renewal,
    jobs.test_a_lease_after_a_restart_keeps_the_attempt_and_raises_the_fence,
    jobs.test_events_are_taken_once_and_in_order, jobs.test_a_result_is_taken_once,
    jobs.test_a_failure_that_may_pass_is_tried_again, jobs.test_a_running_job_is_told_to_stop,
    jobs.test_an_order_without_proof_is_issued_at_once, jobs.test_a_key_that_was_used_before,
    jobs.test_control_of_the_names_is_proved_by_fetching_files, jobs.test_the_life_of_a_certificate,
    jobs.test_a_deployment_that_was_undone, jobs.test_a_canceled_job_cancels_its_order,
    jobs.test_what_waits_for_a_restart_is_verified_when_an_inventory_shows_it,
    jobs.test_what_waits_for_a_restart_is_verified_by_a_recheck,
    operator.test_the_list_of_tokens_has_no_secrets, operator.test_agents_are_shown_with_what_they_said,
    operator.test_inventory_and_targets, operator.test_lists_of_jobs,
    operator.test_an_action_twice_under_one_key_is_one_job,
    requests.test_a_request_of_the_operator_is_taken_to_the_byte, requests.test_the_request_of_the_order_before_may_come_again,
    requests.test_a_deployment_keeps_what_its_configuration_says,
    states.test_where_names_come_from, states.test_a_target_that_cannot_be_managed_says_why,
    states.test_a_version_that_has_expired_is_not_deployed, states.test_what_a_verification_expects,
    states.test_proofs_are_fetched_again_and_cleaned_up, states.test_a_job_that_has_ended_is_not_canceled,
    states.test_a_denied_host_is_admitted_after_all, states.test_an_inventory_of_another_form_shows_no_target,
)
globals().update({f"{lent.__name__}_{lent.__module__.rsplit('_', 1)[1]}": lent for lent in LENT})


@pytest.fixture(scope="module")
def plane(tmp_path_factory, web):  # noqa: F811
    proved = {"type": "builtin", "dcv": "http-01", "http_port": web.server_address[1], "resolve": "127.0.0.1"}
    it = doom.DoomedPlane(
        tmp_path_factory.mktemp("cp"),
        connectors=[{"name": "builtin", "type": "builtin", "dcv": "none"},
                    {"name": "proved", **proved}, {"name": "proving", **proved},
                    {"name": "le", "type": "acme", "directory": "https://127.0.0.1:9/dir"}],
        enroll_per_min=60000, enroll_burst=10000, agent_per_min=60000, agent_burst=10000, token_per_min=10000,
        retry_base_s=1)
    it.start()
    yield it
    it.stop()


@pytest.fixture
def host(plane, tmp_path):
    return wire.WireAgent(plane, tmp_path)


@pytest.fixture
def agent(plane, host, request):
    with doom.peace():
        host.enroll(plane.new_token())
        if request.function.__module__ == configs.__name__:
            assert host.api.put("/agent/v1/inventory", configs.INVENTORY).status == 204
        elif request.function.__module__ != api.__name__:
            host.poll()
    return host
