package packs

import (
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// pack is a folder of custom nodes. Its Python, if any, runs in another process; its files for browsers are served.
type pack struct {
	name, dir string
	webs      []webFolder
	workflows string // folder of example workflows that is served, "" if none
}

// webFolder is a folder of scripts and the name below /extensions that it is served by.
type webFolder struct{ name, dir string }

// workflowFolders are the names that a pack's folder of example workflows may have, the first one that is there wins.
var workflowFolders = []string{"example_workflows", "example", "examples", "workflow", "workflows"}

// packDirs returns the folders of all packs, disabled ones too: locales and examples are read from all but hidden ones.
func (s *Service) packDirs() []string {
	return slices.DeleteFunc(s.customNodeDirs(), func(dir string) bool { return strings.HasPrefix(filepath.Base(dir), ".") })
}

func (s *Service) customNodeDirs() []string {
	var dirs []string
	for _, root := range s.Folders.Roots("custom_nodes") {
		entries, err := os.ReadDir(root)
		if err != nil {
			continue
		}
		slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name()+"/", b.Name()+"/") })
		for _, e := range entries {
			dir := filepath.Join(root, e.Name())
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// packs returns the packs that upstream would load.
func (s *Service) packs() []pack {
	var packs []pack
	for _, dir := range s.customNodeDirs() {
		name := filepath.Base(dir)
		if name == "__pycache__" || strings.HasSuffix(name, ".disabled") ||
			s.DisableCustomNodes && !slices.Contains(s.WhitelistCustomNodes, name) {
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, "__init__.py"))
		if err != nil || len(source) > 4<<20 {
			continue // upstream cannot load it either
		}
		p := pack{name: name, dir: dir}
		if project, web := projectWeb(filepath.Join(dir, "pyproject.toml")); project != "" && web != "" {
			p.addWeb(project, web)
		}
		if web, ok := webDirectoryOf(string(source), filepath.Join(dir, "__init__.py")); ok {
			p.addWeb(name, web)
		}
		for _, f := range workflowFolders {
			if w := filepath.Join(dir, f); isDir(w) && folders.Within(dir, w) { // a link of a pack must not open a folder of the machine
				p.workflows = w
				break
			}
		}
		packs = append(p.replace(packs), p)
	}
	return packs
}

// replace removes packs of earlier search folders that a later one has under the same name.
func (p *pack) replace(packs []pack) []pack {
	for i := range packs {
		if packs[i].name == p.name {
			packs[i].workflows = ""
		}
		packs[i].webs = slices.DeleteFunc(packs[i].webs, func(old webFolder) bool {
			return slices.ContainsFunc(p.webs, func(w webFolder) bool { return w.name == old.name })
		})
	}
	return packs
}

// addWeb registers the pack's folder of scripts.
func (p *pack) addWeb(name, web string) {
	if dir := pyJoin(p.dir, web); isDir(dir) && folders.Within(p.dir, dir) {
		p.webs = append(p.webs, webFolder{name, filepath.Clean(dir)})
	}
}

var (
	tomlTable = regexp.MustCompile(`^\s*\[\s*([\w.-]+)\s*\]`)
	tomlText  = regexp.MustCompile(`^\s*(\w+)\s*=\s*(?:"([^"\\]*)"|'([^']*)')`)
)

// projectWeb reads the project's name and the folder of scripts in the table tool.comfy from a pack's pyproject.toml;
// missing values are "".
func projectWeb(file string) (project, web string) {
	text, err := os.ReadFile(file)
	if err != nil || len(text) > maxLocaleFile {
		return "", ""
	}
	table := ""
	for line := range strings.Lines(string(text)) {
		if m := tomlTable.FindStringSubmatch(line); m != nil {
			table = m[1]
		} else if m := tomlText.FindStringSubmatch(line); m != nil {
			switch table + "." + m[1] {
			case "project.name":
				project = m[2] + m[3]
			case "tool.comfy.web":
				web = m[2] + m[3]
			}
		}
	}
	return project, web
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}

// Mounted finds the folder that serves a path, and the rest of the path below it.
func (s *Service) Mounted(p string) (dir, rest string, ok bool) {
	for _, prefix := range []string{"/extensions/", "/api/workflow_templates/"} {
		after, found := strings.CutPrefix(p, prefix)
		if !found {
			continue
		}
		name, rest, _ := strings.Cut(after, "/")
		for _, k := range s.packs() {
			mounts := k.webs
			if prefix != "/extensions/" {
				mounts = []webFolder{{k.name, k.workflows}}
			}
			for _, m := range mounts {
				if m.name == name && m.dir != "" {
					return m.dir, rest, true
				}
			}
		}
	}
	return "", "", false
}

// GetExtensions lists the scripts that the front end loads: its own, then the packs'.
func (s *Service) GetExtensions(c echo.Context) error {
	list := []any{}
	add := func(dir, below, prefix string) {
		for _, f := range disk.VisibleFiles(filepath.Join(dir, below), true) {
			if rel, err := filepath.Rel(dir, f); err == nil && strings.HasSuffix(f, ".js") {
				list = append(list, prefix+filepath.ToSlash(rel))
			}
		}
	}
	if s.FrontEndRoot != "" {
		add(s.FrontEndRoot, "extensions", "/")
	}
	for _, p := range s.packs() {
		for _, web := range p.webs {
			add(web.dir, "", "/extensions/"+reply.QuotedPath(web.name)+"/")
		}
	}
	return s.Reply.JSON(c, http.StatusOK, list)
}

// GetWorkflowTemplates lists the example workflows by pack.
func (s *Service) GetWorkflowTemplates(c echo.Context) error {
	out := pyjson.NewObject()
	for _, dir := range s.packDirs() {
		names := []any{}
		for _, f := range workflowFolders {
			if !folders.Within(dir, filepath.Join(dir, f)) {
				continue
			}
			for _, file := range globJSON(filepath.Join(dir, f)) {
				base, _ := reply.SplitExt(path.Base(filepath.ToSlash(file)))
				names = append(names, base)
			}
		}
		if name := filepath.Base(dir); len(names) > 0 {
			known, _ := out.Get(name) // of a pack of the same name in another search folder
			list, _ := known.([]any)
			out.Set(name, append(list, names...))
		}
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}

// globJSON returns the .json files of a folder, hidden ones left out.
func globJSON(dir string) []string {
	return slices.DeleteFunc(disk.VisibleFiles(dir, false), func(f string) bool { return !strings.HasSuffix(f, ".json") })
}

// GetI18n returns the packs' translations by language, those of later packs over those of earlier ones, and over frontWords.
func (s *Service) GetI18n(c echo.Context) error {
	out, err := frontWords()
	if err != nil {
		return err
	}
	for _, dir := range s.packDirs() {
		entries, err := os.ReadDir(filepath.Join(dir, "locales"))
		if err != nil || !folders.Within(dir, filepath.Join(dir, "locales")) {
			continue
		}
		for _, e := range entries {
			lang := filepath.Join(dir, "locales", e.Name())
			if !isDir(lang) || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if !out.Has(e.Name()) {
				out.Set(e.Name(), pyjson.NewObject())
			}
			words := s.readJSONFile(filepath.Join(lang, "main.json"))
			for _, extra := range []string{"nodeDefs", "commands", "settings"} {
				if o := s.readJSONFile(filepath.Join(lang, extra+".json")); o.Len() > 0 {
					words.Set(extra, o)
				}
			}
			if words.Len() > 0 {
				out.Set(e.Name(), merged(out.Object(e.Name()), words))
			}
		}
	}
	return s.Reply.JSON(c, http.StatusOK, out)
}

// maxLocaleFile bounds the size that is read of a pack's file.
const maxLocaleFile = 16 << 20

// readJSONFile reads an object; a file that is missing or no object counts as empty.
func (s *Service) readJSONFile(file string) *pyjson.Object {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxLocaleFile {
		return pyjson.NewObject()
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return pyjson.NewObject()
	}
	o, err := pyjson.UnmarshalObject(data)
	if err != nil {
		s.Log.Error("reading a file of a custom node", "file", file, "error", err)
		return pyjson.NewObject()
	}
	return o
}

// merged puts one value over another: objects key by key, lists one after the other.
func merged(base, update any) any {
	if a, ok := base.([]any); ok {
		if b, ok := update.([]any); ok {
			return append(slices.Clone(a), b...)
		}
	}
	a, okA := base.(*pyjson.Object)
	b, okB := update.(*pyjson.Object)
	if !okA || !okB {
		return update
	}
	out := pyjson.NewObject().Merge(a)
	for k, v := range b.All() {
		if old, ok := a.Get(k); ok {
			v = merged(old, v)
		}
		out.Set(k, v)
	}
	return out
}
