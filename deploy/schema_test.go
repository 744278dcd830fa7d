package deploy_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/pb33f/jsonschema/v6"
)

// schemaOf reads a packed schema, which must have the digest, and compiles the part of it that a reference names.
func schemaOf(t *testing.T, name, digest, part string) *jsonschema.Schema {
	t.Helper()
	packed, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(packed)); got != digest {
		t.Fatalf("%s has the SHA-256 %s, want %s", name, got, digest)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(r)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func composeSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	return schemaOf(t, "compose-spec.json.gz", "0d8a5776fd98564ffd873a8a977c0451e96f5a793c00ae3042e4a12087e86fb3", "")
}

func kubernetesSchema(t *testing.T, definition string) *jsonschema.Schema {
	t.Helper()
	return schemaOf(t, "kubernetes-1.34.json.gz", "75c00f295918426df5951ee45ecc08e77942a0f596c217bd43d6ba5e04c62449", "#/$defs/"+definition)
}

// documents reads YAML as JSON has it.
func documents(t *testing.T, text string) (list []any) {
	t.Helper()
	for docs := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc any
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, value)
	}
}

// kinds are the definitions of the kinds of objects in our manifests.
var kinds = map[string]string{
	"apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment", "v1 Service": "io.k8s.api.core.v1.Service",
	"v1 PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
}

// validate checks one document of a manifest against the schema of its kind.
func validate(t *testing.T, doc any) error {
	t.Helper()
	object, _ := doc.(map[string]any)
	kind := fmt.Sprint(object["apiVersion"], " ", object["kind"])
	definition, known := kinds[kind]
	if !known {
		return fmt.Errorf("there is no schema of %s", kind)
	}
	return kubernetesSchema(t, definition).Validate(doc)
}

// TestSchemas validates the examples with the schemas of Compose and of Kubernetes, in which unknown fields are errors.
func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"compose.yaml", "fleet.compose.yaml"} {
		for _, doc := range documents(t, read(t, name)) {
			if err := composeSchema(t).Validate(doc); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"kubernetes.yaml", "fleet.kubernetes.yaml"} {
		for i, doc := range documents(t, read(t, name)) {
			if err := validate(t, doc); err != nil {
				t.Errorf("%s, document %d: %v", name, i+1, err)
			}
		}
	}
}

// TestSchemasFindMistakes holds that the validator refuses examples with a mistake in them.
func TestSchemasFindMistakes(t *testing.T) {
	t.Parallel()
	compose := composeSchema(t)
	for _, change := range [][2]string{{"restart: unless-stopped", "restarts: unless-stopped"}, {"stop_grace_period: 60s", "stop_grace_period: [60]"}} {
		text := strings.Replace(read(t, "compose.yaml"), change[0], change[1], 1)
		for _, doc := range documents(t, text) {
			if compose.Validate(doc) == nil {
				t.Errorf("compose.yaml with %q is valid", change[1])
			}
		}
	}
	for _, change := range [][2]string{
		{"replicas: 1", "replicas: one"},
		{"livenessProbe", "livenesProbe"},
		{"containerPort: 8188", "containerPort: http"},
		{"selector:", "selectors:"},
		{"accessModes: [ReadWriteOnce]", "accessModes: ReadWriteOnce"},
		{"name: http, port: 80", "name: http"},
	} {
		text, wrong := strings.Replace(read(t, "kubernetes.yaml"), change[0], change[1], 1), 0
		for _, doc := range documents(t, text) {
			if validate(t, doc) != nil {
				wrong++
			}
		}
		if wrong != 1 {
			t.Errorf("kubernetes.yaml with %q has %d wrong documents, want 1", change[1], wrong)
		}
	}
}
