package cudacheck

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/dtype"
)

// File is the path of the stored findings, below the root of the module.
const File = "tests/cudacheck/graphs.txt"

//go:embed graphs.txt
var stored string

// header explains the file.
const header = `# Graphs for CUDA, written by: make cuda-check ARGS=-write
# sample | part | nodes:digest computed in F16, BF16 and F32. The test writes the graphs of samples with a star.
`

// Found holds the results for a sample: its parts by compute type, for weights in the sample's types.
type Found struct {
	Short bool
	Parts map[dtype.DType]map[string]*Part
}

// Known returns the stored findings by sample.
func Known() (map[string]*Found, error) { return parse(stored) }

func parse(text string) (map[string]*Found, error) {
	out := map[string]*Found{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, part, figures, ok := cut(line)
		words := strings.Fields(figures)
		if !ok || len(words) != len(Computed) {
			return nil, fmt.Errorf("reading %s: the line %q is not understood", File, line)
		}
		name, short := strings.CutPrefix(name, "*")
		f := out[name]
		if f == nil {
			f = &Found{Short: short, Parts: map[dtype.DType]map[string]*Part{}}
			out[name] = f
		}
		for i, w := range words {
			count, digest, _ := strings.Cut(w, ":")
			nodes, err := strconv.Atoi(count)
			if err != nil {
				return nil, fmt.Errorf("reading %s: the line %q has %q for a number of nodes", File, line, count)
			}
			if f.Parts[Computed[i]] == nil {
				f.Parts[Computed[i]] = map[string]*Part{}
			}
			f.Parts[Computed[i]][part] = &Part{Nodes: nodes, Digest: digest}
		}
	}
	return out, nil
}

// cut takes a line apart.
func cut(line string) (name, part, figures string, ok bool) {
	words := strings.Split(line, " | ")
	if len(words) != 3 {
		return "", "", "", false
	}
	return words[0], words[1], words[2], true
}

// Format is the text of findings.
func Format(found map[string]*Found) string {
	var b strings.Builder
	b.WriteString(header)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		star := ""
		if f.Short {
			star = "*"
		}
		for _, part := range slices.Sorted(maps.Keys(f.Parts[Computed[0]])) {
			fmt.Fprintf(&b, "%s%s | %s |", star, name, part)
			for _, compute := range Computed {
				p := f.Parts[compute][part]
				if p == nil {
					p = &Part{}
				}
				fmt.Fprintf(&b, " %d:%s", p.Nodes, p.Digest)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// grown is the factor by which a graph may be larger than the stored one.
const grown = 1.02

// Compare lists the faults of a sample's parts compared to the stored ones, which may be missing: operators without a
// kernel, and graphs that have grown.
func Compare(known *Found, compute dtype.DType, parts map[string]*Part) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p := parts[name]
		for _, m := range p.Missing {
			out = append(out, fmt.Sprintf("%s: CUDA has no kernel for %v", name, m))
		}
		if known == nil {
			continue
		}
		if old := known.Parts[compute][name]; old != nil && float64(p.Nodes) > grown*float64(old.Nodes) {
			out = append(out, fmt.Sprintf("%s: the graph has %d operators, and had %d; if that has to be, run make cuda-check ARGS=-write", name, p.Nodes, old.Nodes))
		}
	}
	return out
}
