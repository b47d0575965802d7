package cluster_test

import (
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// The manifests have no field that Kubernetes does not know, and fit together. No cluster is at
// hand, so nothing more is checked.
func TestManifests(t *testing.T) {
	text, err := os.ReadFile("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var budget policyv1.PodDisruptionBudget
	var service corev1.Service
	documents := strings.Split(string(text), "\n---\n")
	for i, into := range []any{&deployment, &budget, &service} {
		if err := yaml.UnmarshalStrict([]byte(documents[i]), into); err != nil {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	if len(documents) != 3 || *deployment.Spec.Replicas != 3 {
		t.Errorf("%d documents, %d replicas; want three of each", len(documents),
			*deployment.Spec.Replicas)
	}
	labels := deployment.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"Deployment":          deployment.Spec.Selector.MatchLabels,
		"PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
		"Service":             service.Spec.Selector,
	} {
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("%s selects %s=%s, and the pods have %q", what, key, value, labels[key])
			}
		}
	}
}
