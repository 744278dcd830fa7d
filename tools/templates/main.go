// Command templates counts the workflow templates of ComfyUI's front end that can be run here: those that need no partner's
// service, whose node classes are built, and whose model files are of families that are built.
//
//	go run ./tools/templates [-dir DIR] [-v]
//
// The templates are those that `comfygo frontend install` has fetched, or lie below DIR as Python's packages do. The last lines rank what
// the others wait for by the templates that it would win.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/frontend"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/nodes/catalog"
	"comfygo/tests/browser/chromium"
)

func main() {
	dir := flag.String("dir", "", "folder with the packages of templates, in the layout of site-packages")
	verbose := flag.Bool("v", false, "print each template with what it waits for")
	flag.Parse()
	if err := run(os.Stdout, *dir, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "templates:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, dir string, verbose bool) error {
	found := chromium.Frontend(".")
	if dir != "" {
		found = frontend.Find([]string{dir})
	}
	if len(found.Templates) == 0 {
		return fmt.Errorf("there are no templates: fetch them with `comfygo frontend install`, or name a folder with -dir")
	}
	c := counter{built: builtFamilies(), missing: map[string][]string{}}
	for _, name := range slices.Sorted(maps.Keys(found.Templates)) {
		if !strings.HasSuffix(name, ".json") || strings.HasPrefix(name, "index") || strings.HasPrefix(name, "fuse_") {
			continue
		}
		if err := c.count(name, found.Templates[name]); err != nil {
			return err
		}
	}
	c.report(out, verbose)
	return nil
}

// counter counts templates.
type counter struct {
	built map[string]bool
	all   int
	// free need no partner's service, classes have all their classes too, and runs the models as well.
	free, classes, runs int
	// missing lists, by template, what it lacks.
	missing map[string][]string
}

// onPage are classes that the front end has by itself.
var onPage = []string{"MarkdownNote", "Note", "Reroute", "PrimitiveNode"}

func (c *counter) count(name, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a template: %w", err)
	}
	saved, err := pyjson.UnmarshalObject(raw)
	if err != nil {
		return fmt.Errorf("reading the template %s: %w", name, err)
	}
	if _, ok := saved.Get("nodes"); !ok {
		return nil // an index or a list of assets
	}
	c.all++
	t := read(saved)
	for _, class := range t.classes {
		if _, ok := catalog.Get(class); !ok {
			return nil // a partner's
		}
	}
	c.free++
	var waits []string
	for _, class := range t.classes {
		if _, ok := nodes.Default().Get(class); !ok {
			waits = append(waits, "class "+class)
		}
	}
	if len(waits) == 0 {
		c.classes++
	}
	for _, f := range t.files {
		if need := needOf(f); need != "" && !c.built[need] {
			waits = append(waits, need)
		}
	}
	slices.Sort(waits)
	if waits = slices.Compact(waits); len(waits) == 0 {
		c.runs++
	}
	c.missing[name] = waits
	return nil
}

// report prints the counts and what the templates that do not run wait for.
func (c *counter) report(out io.Writer, verbose bool) {
	if verbose {
		for _, name := range slices.Sorted(maps.Keys(c.missing)) {
			fmt.Fprintf(out, "%s: %s\n", name, cmp.Or(strings.Join(c.missing[name], ", "), "runs"))
		}
	}
	fmt.Fprintf(out, "%d templates; %d need no partner's service, of %d of these all classes are built, and %d run\n", c.all, c.free, c.classes, c.runs)
	alone, shared := map[string]int{}, map[string]int{}
	for _, waits := range c.missing {
		for _, w := range waits {
			shared[w]++
			if len(waits) == 1 {
				alone[w]++
			}
		}
	}
	ranked := slices.SortedFunc(maps.Keys(shared), func(a, b string) int {
		return cmp.Or(alone[b]-alone[a], shared[b]-shared[a], cmp.Compare(a, b))
	})
	for _, w := range ranked {
		fmt.Fprintf(out, "%3d wait for it alone, %3d with others: %s\n", alone[w], shared[w]-alone[w], w)
	}
}

// template holds the requirements of a workflow.
type template struct{ classes, files []string }

func read(saved *pyjson.Object) template {
	t := template{}
	own := map[string]bool{}
	var list []any
	add := func(from *pyjson.Object) {
		if v, ok := from.Get("nodes"); ok {
			more, _ := v.([]any)
			list = append(list, more...)
		}
	}
	add(saved)
	subgraphs, _ := saved.Object("definitions").Get("subgraphs")
	subs, _ := subgraphs.([]any)
	for _, s := range subs {
		if sub, ok := s.(*pyjson.Object); ok {
			id, _ := sub.Get("id")
			own[fmt.Sprint(id)] = true
			add(sub)
		}
	}
	for _, n := range list {
		node, ok := n.(*pyjson.Object)
		if !ok {
			continue
		}
		typ, _ := node.Get("type")
		class := fmt.Sprint(typ)
		if !own[class] && !slices.Contains(onPage, class) {
			t.classes = append(t.classes, class)
		}
		models, _ := node.Object("properties").Get("models")
		files, _ := models.([]any)
		for _, f := range files {
			if file, ok := f.(*pyjson.Object); ok {
				name, _ := file.Get("name")
				folder, _ := file.Get("directory")
				t.files = append(t.files, fmt.Sprintf("%v/%v", folder, name))
			}
		}
	}
	slices.Sort(t.classes)
	slices.Sort(t.files)
	t.classes, t.files = slices.Compact(t.classes), slices.Compact(t.files)
	return t
}

// builtFamilies are the names that rules want, of what is built: upstream's classes of diffusion models, the keys of text encoders and
// the names of other families.
func builtFamilies() map[string]bool {
	out := map[string]bool{}
	for _, d := range family.Default.Diffusion() {
		out["model "+d.Name()] = true
	}
	for _, s := range family.Default.Schemes() {
		for _, e := range s.Encoders() {
			out["text encoder "+e.Key] = true
		}
	}
	for _, v := range family.Default.VAEs() {
		out["VAE "+v.Name()] = true
	}
	for _, v := range family.Default.Controls() {
		out["ControlNet "+v.Name()] = true
	}
	for _, v := range family.Default.Visions() {
		out["image encoder "+v.Name()] = true
	}
	for _, v := range family.Default.Audios() {
		out["audio encoder "+v.Name()] = true
	}
	for _, v := range family.Default.Upscalers() {
		out["upscale model "+v.Name()] = true
	}
	return out
}
