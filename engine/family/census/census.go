package census

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/patch"
)

// Line is what can be done with one of upstream's families.
type Line struct {
	// Place counts from one, Class is upstream's name.
	Place int    `json:"place"`
	Class string `json:"class"`
	// Family is the family of the models in this project, empty for an unknown one; Runs reports that it is supported.
	Family string `json:"family"`
	Runs   bool   `json:"runs"`
	// Samples are the small models of the family that ComfyUI detects and that are detected here in the same way; Mistaken are those
	// detected as another family.
	Samples  []string `json:"samples"`
	Mistaken []string `json:"mistaken,omitempty"`
	// Forward, Modules and Workflows count goldens of the samples.
	Forward   int `json:"forward"`
	Modules   int `json:"modules"`
	Workflows int `json:"workflows"`
	// LoRA and ControlNet report that the family supports such files.
	LoRA       bool `json:"lora"`
	ControlNet bool `json:"controlnet"`
	// Stored lists the forms of matrices of the samples.
	Stored []string `json:"stored"`
	// Memory reports that the activations of a run are estimated, from the graph.
	Memory bool `json:"memory"`
}

// Goldens describes the goldens, "" for none.
func (l Line) Goldens() string {
	var out []string
	for _, g := range []struct {
		n    int
		what string
	}{{l.Forward, "forward"}, {l.Modules, "module"}, {l.Workflows, "workflow"}} {
		if g.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", g.n, g.what))
		}
	}
	return strings.Join(out, ", ")
}

// Lines takes the census.
func Lines(reg *family.Registry) ([]Line, error) {
	samples, err := Samples()
	if err != nil {
		return nil, err
	}
	diffusion := map[int]string{}
	for _, f := range reg.Diffusion() {
		diffusion[f.Rank()] = f.Name()
	}
	const step = 10 // of ranks
	ranks := map[string]int{}
	for i, p := range upstream {
		ranks[p.class] = step * (i + 1)
	}
	out := make([]Line, len(upstream))
	for i, p := range upstream {
		l := Line{Place: i + 1, Class: p.class, Samples: []string{}, Stored: []string{}}
		l.Family = diffusion[step*l.Place]
		if l.Family == "" && p.with != "" {
			l.Family = diffusion[ranks[p.with]]
		}
		l.Runs = l.Family != ""
		for _, s := range samples {
			if s.Class == p.class {
				l.add(reg, s)
			}
		}
		slices.Sort(l.Stored)
		l.Stored = slices.Compact(l.Stored)
		out[i] = l
	}
	return out, nil
}

// geometry is the depth model in a file, or nil.
func geometry(file *family.File) family.DepthNetwork {
	n, err := file.Geometry()
	if err != nil {
		return nil
	}
	depth, _ := n.(family.DepthNetwork)
	return depth
}

// add adds a sample.
func (l *Line) add(reg *family.Registry, s Sample) {
	file := family.Open(reg, s.Source())
	d, fam, err := file.Checkpoint()
	name, depth, runs := "", geometry(file), err == nil
	switch {
	case runs:
		name = fam.Name()
	case depth != nil: // a family of another role runs it
		name, runs = file.Describe().Family, true
		const side = 504
		l.Memory = l.Memory || depth.Memory(1, side, side, family.DepthCall{Resolution: side}) > 0
	case l.Runs:
		l.Mistaken = append(l.Mistaken, s.Name)
		return
	default: // a family that is not built: its name is all there is to tell
		name = file.Describe().Family
	}
	if l.Family == "" && runs {
		l.Family, l.Runs = name, true // a family of another rank runs it
	}
	if l.Runs && name != l.Family || name == "" {
		l.Mistaken = append(l.Mistaken, s.Name)
		return
	}
	l.Family = name
	l.Samples = append(l.Samples, s.Name)
	l.Forward, l.Modules, l.Workflows = l.Forward+s.Forward, l.Modules+s.Modules, l.Workflows+s.Workflows
	l.Stored = append(l.Stored, s.Stored...)
	if err != nil {
		return
	}
	if a, ok := d.(family.Adaptable); ok {
		var keys patch.KeyMap
		a.LoRAKeys(&keys, "")
		l.LoRA = l.LoRA || keys.Len() > 0
	}
	_, steered := d.(family.Steered)
	l.ControlNet = l.ControlNet || steered
	format := d.Latent()
	shape := []int{1, format.Channels, 16, 16}
	if format.Video {
		shape = []int{1, format.Channels, 1, 16, 16}
	}
	l.Memory = l.Memory || d.Memory(shape, 77) > 0
}

// Table is the census as a table of Markdown.
func Table(lines []Line) string {
	var b strings.Builder
	b.WriteString("| | ComfyUI's family | here | runs | told apart | goldens | LoRA | ControlNet | memory | stored forms |\n|---|---|---|---|---|---|---|---|---|---|\n")
	yes := func(ok bool) string {
		if ok {
			return "yes"
		}
		return ""
	}
	for _, l := range lines {
		runs := "no"
		if l.Runs {
			runs = "yes"
		}
		told := fmt.Sprint(len(l.Samples))
		if len(l.Samples)+len(l.Mistaken) == 0 {
			told = "–"
		} else if len(l.Mistaken) > 0 {
			told += ", not " + strings.Join(l.Mistaken, ", ")
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", l.Place, l.Class, l.Family, runs, told, l.Goldens(), yes(l.LoRA), yes(l.ControlNet), yes(l.Memory), strings.Join(l.Stored, ", "))
	}
	return b.String()
}

// Summary counts the lines.
func Summary(lines []Line) string {
	runs, told := 0, 0
	for _, l := range lines {
		if l.Runs {
			runs++
		}
		if len(l.Samples) > 0 {
			told++
		}
	}
	return fmt.Sprintf("%d of %d families run; %d are told apart by samples", runs, len(lines), told)
}

// The marks between which docs/models.md has the census.
const (
	begin = "<!-- census: go run ./tools/familydocs -->\n"
	end   = "<!-- end of the census -->\n"
)

// Insert puts the census between the marks of a page.
func Insert(page string, lines []Line) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("the page lacks the marks %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + Summary(lines) + ".\n\n" + Table(lines) + "\n" + end + after, nil
}
