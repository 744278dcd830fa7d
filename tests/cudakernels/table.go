// Package cudakernels checks for tests, without a GPU, that ONNX Runtime has a CUDA kernel for every operator of a graph.
//
// The table holds the kernels that the CUDA provider of the pinned library registers. It is made from the list that was
// read out of that library (kernels.json) by
//
//	jq -cS '{version, rule, schema_versions, kernels}' kernels.json | gzip -9n > kernels.json.gz
package cudakernels

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

//go:embed kernels.json.gz
var packed []byte

// table is the list of kernels.
type table struct {
	// Schemas are the versions in which an operator of ONNX changed, ascending.
	Schemas map[string][]int `json:"schema_versions"`
	// Kernels are the kernels by domain and operator.
	Kernels map[string]map[string][]kernel `json:"kernels"`
}

// kernel is a range of versions with its element types: alternatives, each of which maps the names of type constraints to
// types.
type kernel struct {
	Since int                   `json:"since_version"`
	Until int                   `json:"until_version"`
	Types []map[string][]string `json:"types"`
}

// load unpacks the table once.
var load = sync.OnceValues(func() (*table, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the list of CUDA kernels: %w", err)
	}
	t := &table{}
	if err := json.NewDecoder(z).Decode(t); err != nil {
		return nil, fmt.Errorf("reading the list of CUDA kernels: %w", err)
	}
	return t, nil
})

// names are the table's names of the floating-point types.
var names = map[dtype.DType]string{dtype.F64: "double", dtype.F32: "float", dtype.F16: "float16", dtype.BF16: "bfloat16", dtype.F8E4M3: "float8e4m3fn", dtype.F8E5M2: "float8e5m2"}

// fits returns the kernels for an operator of a graph which imports the given opset. A kernel without an end serves only
// the version in which it appeared: an operator with a newer schema and no new kernel has none.
func (t *table) fits(domain, op string, opset int) []kernel {
	version := 1
	if domain == onnx.DomainONNX {
		domain = "ai.onnx"
		for _, v := range t.Schemas[op] {
			if v <= opset {
				version = v
			}
		}
	}
	var out []kernel
	for _, k := range t.Kernels[domain][op] {
		if k.Since == version || k.Until > 0 && k.Since <= version && version <= k.Until {
			out = append(out, k)
		}
	}
	return out
}

// takes reports that one alternative of the kernel has all the types.
func (k kernel) takes(types []string) bool {
	for _, alternative := range k.Types {
		have := map[string]bool{}
		for _, list := range alternative {
			for _, name := range list {
				have[name] = true
			}
		}
		all := true
		for _, name := range types {
			all = all && have[name]
		}
		if all {
			return true
		}
	}
	return false
}
