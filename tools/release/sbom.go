package main

import (
	"debug/buildinfo"
	"encoding/json"
	"io"
	"path"
	"time"

	"comfygo/internal/ortlib"
)

// component is an entry of a CycloneDX bill of materials.
type component struct {
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Version  string    `json:"version,omitempty"`
	PURL     string    `json:"purl,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Licences []licence `json:"licenses,omitempty"`
	Note     string    `json:"description,omitempty"`
}

type licence struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

func licensed(id string) []licence {
	if id == "" {
		return nil
	}
	var l licence
	l.License.ID = id
	return []licence{l}
}

// writeSBOM writes the parts that the program was built from: Go and the modules that the linker recorded in it, the data and C
// code that are embedded, and the library that it loads.
func (r *release) writeSBOM(w io.Writer, binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	components := []component{{Type: "library", Name: "stdlib", Version: info.GoVersion, PURL: "pkg:golang/stdlib@" + info.GoVersion, Licences: licensed("BSD-3-Clause")}}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		components = append(components, component{Type: "library", Name: d.Path, Version: d.Version, PURL: "pkg:golang/" + d.Path + "@" + d.Version, Licences: licensed(moduleLicence(d.Path, d.Version))})
	}
	for _, e := range embedded {
		components = append(components, component{Type: e.kind, Name: e.name, Version: e.version, Licences: licensed(e.licence), Note: e.note})
	}
	components = append(components, component{
		Type: "library", Name: "onnxruntime", Version: ortlib.Version, Scope: "optional", Licences: licensed("MIT"),
		Note: "not in the archive: loaded at run time, fetched by `comfygo setup`",
	})
	bill := map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata": map[string]any{
			"timestamp": r.date.Format(time.RFC3339),
			"component": component{Type: "application", Name: path.Base(info.Main.Path), Version: r.version, Licences: licensed("GPL-3.0-only"), Note: "commit " + r.commit},
		},
		"components": components,
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(bill)
}
