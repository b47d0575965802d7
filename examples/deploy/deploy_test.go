package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const dir = "../../deploy"

// decode decodes the documents of a file strictly.
func decode(t *testing.T, name string, into ...any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "\n---\n")
	if len(documents) != len(into) {
		t.Fatalf("%s: %d documents, want %d", name, len(documents), len(into))
	}
	for i, v := range into {
		if err := yaml.UnmarshalStrict([]byte(documents[i]), v); err != nil {
			t.Errorf("%s, document %d: %v", name, i+1, err)
		}
	}
}

// selects checks that a selector finds the pods.
func selects(t *testing.T, pods corev1.PodTemplateSpec, what string, selector map[string]string) {
	t.Helper()
	if len(selector) == 0 {
		t.Errorf("%s selects nothing", what)
	}
	for key, value := range selector {
		if pods.Labels[key] != value {
			t.Errorf("%s selects %s=%s, and the pods have %q", what, key, value, pods.Labels[key])
		}
	}
}

// secure checks that pods run without rights, have probes, and stop in time.
func secure(t *testing.T, pods corev1.PodTemplateSpec) {
	t.Helper()
	p, c := pods.Spec, pods.Spec.Containers[0]
	if !*p.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem ||
		*c.SecurityContext.AllowPrivilegeEscalation ||
		!slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
		p.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod has rights that it does not need: %+v, %+v", p.SecurityContext,
			c.SecurityContext)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		*p.TerminationGracePeriodSeconds < 11 {
		t.Errorf("probes or grace period: %+v", p)
	}
	ports := c.Ports
	if len(ports) != 1 || ports[0].ContainerPort != 8080 || ports[0].Name != "http" ||
		!slices.Contains(c.Env, corev1.EnvVar{Name: "RELAY_LISTEN", Value: ":8080"}) {
		t.Errorf("the ports are %+v", ports)
	}
}

// The manifests have no field that Kubernetes does not know, and fit together. No cluster is at
// hand, so nothing more is checked.
func TestKubernetesOneNode(t *testing.T) {
	var set appsv1.StatefulSet
	var service corev1.Service
	decode(t, "kubernetes/one-node.yaml", &set, &service)
	pods := set.Spec.Template
	selects(t, pods, "StatefulSet", set.Spec.Selector.MatchLabels)
	selects(t, pods, "Service", service.Spec.Selector)
	secure(t, pods)
	claims, mounts := set.Spec.VolumeClaimTemplates, pods.Spec.Containers[0].VolumeMounts
	if *set.Spec.Replicas != 1 || len(claims) != 1 || len(mounts) != 1 ||
		claims[0].Name != mounts[0].Name || mounts[0].MountPath != "/data" ||
		!slices.Equal(claims[0].Spec.AccessModes,
			[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) {
		t.Errorf("%d replicas with %+v at %+v; want one, with a volume of its own", *set.Spec.Replicas,
			claims, mounts)
	}
	if set.Spec.ServiceName != service.Name {
		t.Errorf("the StatefulSet has the service %s", set.Spec.ServiceName)
	}
}

func TestKubernetesSeveralNodes(t *testing.T) {
	var deployment appsv1.Deployment
	var budget policyv1.PodDisruptionBudget
	var service corev1.Service
	decode(t, "kubernetes/several-nodes.yaml", &deployment, &budget, &service)
	pods := deployment.Spec.Template
	selects(t, pods, "Deployment", deployment.Spec.Selector.MatchLabels)
	selects(t, pods, "PodDisruptionBudget", budget.Spec.Selector.MatchLabels)
	selects(t, pods, "Service", service.Spec.Selector)
	secure(t, pods)
	if *deployment.Spec.Replicas != 3 {
		t.Errorf("%d replicas, want 3", *deployment.Spec.Replicas)
	}
}

// A composition has the fields of a Compose file that are used here.
type composition struct {
	Services map[string]struct {
		Build, Image, Restart string
		StopGracePeriod       string            `json:"stop_grace_period"`
		ReadOnly              bool              `json:"read_only"`
		CapDrop               []string          `json:"cap_drop"`
		SecurityOpt           []string          `json:"security_opt"`
		MemLimit              string            `json:"mem_limit"`
		Environment           map[string]string `json:"environment"`
		Volumes, Ports        []string
		Deploy                map[string]int
		Healthcheck           map[string]any
		DependsOn             map[string]any `json:"depends_on"`
	}
	Volumes map[string]any
}

// The Compose files have only fields that are known here, and use the volumes that they have. The
// image has a directory for the store that its user may write.
func TestCompose(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "ENV RELAY_DATA=/data",
		"--chown=65532:65532 --chmod=0700 /data /data", "CGO_ENABLED=0"} {
		if !strings.Contains(string(dockerfile), line) {
			t.Errorf("the Dockerfile has not %q", line)
		}
	}
	for _, name := range []string{"one-node", "several-nodes"} {
		var c composition
		decode(t, "compose/"+name+".yaml", &c)
		relay, ok := c.Services["relay"]
		if !ok || relay.Build != "../.." || relay.StopGracePeriod != "15s" ||
			relay.Environment["RELAY_LISTEN"] != ":8080" {
			t.Errorf("%s: the relay is %+v", name, relay)
		}
		if name == "one-node" && (!relay.ReadOnly || !slices.Equal(relay.CapDrop, []string{"ALL"}) ||
			!slices.Equal(relay.Volumes, []string{"data:/data"})) {
			t.Errorf("%s: the relay is %+v", name, relay)
		}
		for service, s := range c.Services {
			for _, mount := range s.Volumes {
				volume, _, _ := strings.Cut(mount, ":")
				if _, there := c.Volumes[volume]; !there {
					t.Errorf("%s: %s mounts %s, which is no volume", name, service, volume)
				}
			}
		}
	}
}
