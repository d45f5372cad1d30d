"""The Kubernetes examples in docs/: valid resources, and properties that a submission accepts."""

import warnings
from pathlib import Path

import pytest
import yaml

from finelake.commands.submit import KUBERNETES
from finelake.jobs.spark import cluster, session

EXAMPLES = Path(__file__).parents[1] / "docs" / "kubernetes"
VERSION = "1.34"  # of the Kubernetes API


def resources() -> list[dict]:
    return list(yaml.safe_load_all((EXAMPLES / "spark.yaml").read_text()))


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource["kind"])
def test_each_resource_is_valid(resource):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        validate = pytest.importorskip("kubernetes_validate").validate
    validate(resource, VERSION, strict=True)


def test_an_invalid_resource_is_found():
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    role = next(resource for resource in resources() if resource["kind"] == "Role")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(role | {"rules": "all"}, VERSION, strict=True)


def test_namespace_and_account_are_those_of_the_properties(monkeypatch):
    monkeypatch.setenv(cluster.PROPERTIES, str(EXAMPLES / "spark.properties"))
    given = cluster.properties(reserved=session.SETTINGS)
    named = {resource["kind"]: resource["metadata"] for resource in resources()}
    assert given["spark.kubernetes.namespace"] == named["Namespace"]["name"] == named["ServiceAccount"]["namespace"]
    assert given["spark.kubernetes.authenticate.driver.serviceAccountName"] == named["ServiceAccount"]["name"]
    assert set(KUBERNETES) <= set(given)
