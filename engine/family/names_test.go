package family_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// familyWords are parts of identifiers and strings that name a model family.
var familyWords = regexp.MustCompile(`(?i)stable.?diffusion|sdxl|sd15|sd1x|sd21|\bsd3\b|flux|hunyuan|cosmos|ltxv?|chroma(radiance|\b)|lumina|qwen|z.?image|taesd|taehv|esrgan|playground|cascade|mochi|kandinsky|minimax|pixart|auraflow|hidream|omnigen|anima\b|krea|cogvideo|\bwan\b|wan2|svd`)

// allowed are the files of the engine outside the families' folders that may name a family, with the words that they use and
// the reason. There are at most ten.
var allowed = []struct{ file, words, reason string }{
	{"engine/sampling/modelsampling.go", `StableCascade|STABLE_CASCADE|FlowCosmos|FLOW_COSMOS|FLUX|Flux|FluxShift`, "upstream's names of model types, which files and nodes state"},
	{"engine/sampling/tables.go", `SDXL|SVD|FLUX|Wan|Chroma`, "schedules published for families, chosen by these names in a node"},
	{"engine/sampling/flowsigmas.go", `LTXVSigmas|Flux2Sigmas|LTXV.*|Flux 2|.*LTXV schedule.*`, "schedules published for families, each the node of that name"},
	{"engine/preview/preview.go", `TAESD|taesd|.*with TAESD.*`, "a value of the flag --preview-method"},
	{"engine/tokenizer/hf/read.go", `PatternQwen2`, "a published pre-tokenizer"},
	{"engine/textenc/ggufwords.go", `qwen2|PatternQwen2`, "names of pre-tokenizers in the headers of GGUF files"},
}

// TestNoFamilyOutsideItsFolder checks that no identifier and no string of the engine names a family outside the family's own
// folder. Comments may: they cite sources.
func TestNoFamilyOutsideItsFolder(t *testing.T) {
	t.Parallel()
	if len(allowed) > 10 {
		t.Errorf("the allow-list has %d entries", len(allowed))
	}
	root := filepath.Join("..", "..")
	used := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "engine"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		parts := strings.Split(name, "/")
		switch {
		case d.IsDir() && len(parts) == 3 && parts[1] == "family" && parts[2] != "dryrun" && parts[2] != "familytest":
			if parts[2] == "all" {
				return nil
			}
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		checkNames(t, path, name, used)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range allowed {
		if !used[a.file] {
			t.Errorf("the allow-list names %s for nothing", a.file)
		}
	}
}

func checkNames(t *testing.T, path, name string, used map[string]bool) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	permitted := func(word string) bool {
		for _, a := range allowed {
			if a.file == name && regexp.MustCompile(`^(`+a.words+`)$`).MatchString(word) {
				used[a.file] = true
				return true
			}
		}
		return false
	}
	ast.Inspect(f, func(n ast.Node) bool {
		var word string
		switch x := n.(type) {
		case *ast.ImportSpec:
			return false // the linker needs them: engine/family/all is the one list of families
		case *ast.Ident:
			word = x.Name
		case *ast.BasicLit:
			if x.Kind == token.STRING {
				word = strings.Trim(x.Value, "`\"")
			}
		}
		if word != "" && familyWords.MatchString(word) && !permitted(word) {
			t.Errorf("%s: %q names a model family outside the family's folder", fset.Position(n.Pos()), word)
		}
		return true
	})
}
