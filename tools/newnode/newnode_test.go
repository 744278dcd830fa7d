package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/tests/golden"
	"comfygo/tests/objectinfo"
)

// sample has every shape of an input: v1 and v3, combos, files, hidden inputs, lists, autogrow by names and by prefix, dynamic and nested
// dynamic combos, match types, arrays, integers beyond 64 bits, optional inputs, output lists.
var sample = []string{
	"KSampler", "EmptyImage", "SaveImage", "LoadImageOutput", "ImageStitch", "StringFormat", "CreateList", "ComfySwitchNode", "RebatchImages", "SaveVideo",
	"ResizeImageMaskNode", "PrimitiveInt", "CustomCombo", "Video Slice", "EmptyAceStep1.5LatentAudio", "ShuffleImageTextDataset", "ModelMergeKrea2",
}

const program = `package main

import (
	"os"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func main() {
	b, err := pyjson.Marshal(nodes.Default().Infos(nodes.Env{}))
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(b)
}
`

// TestSkeletons builds the skeletons of a sample and compares what they say of themselves with the recording they were made from.
// NEWNODE_ALL=1 takes all 633 classes.
func TestSkeletons(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds a program")
	}
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	infos := objectinfo.Recorded(t)
	classes := sample
	if os.Getenv("NEWNODE_ALL") != "" {
		classes = infos.Keys()
	}
	temp := t.TempDir()
	overlay := map[string]string{}
	for i, name := range classes {
		s, err := newSkeleton(name, infos.Object(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := fmt.Sprintf("c%d.go", i)
		source := s.insert([]byte("package main\n\nimport (\n)\n"))
		if err := os.WriteFile(filepath.Join(temp, file), source, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, "nodes", "newnodetest", file)] = filepath.Join(temp, file)
	}
	if err := os.WriteFile(filepath.Join(temp, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay[filepath.Join(root, "nodes", "newnodetest", "main.go")] = filepath.Join(temp, "main.go")
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(temp, "overlay.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-overlay", filepath.Join(temp, "overlay.json"), "./nodes/newnodetest")
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the skeletons: %v\n%.4000s", err, stderr.String())
	}
	made, err := pyjson.UnmarshalObject(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range classes {
		info, err := pyjson.Marshal(made.Object(name))
		if err != nil {
			t.Fatal(err)
		}
		differences, err := objectinfo.Differences(info, infos.Object(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestFileOf: no module's file is one that Go builds on some systems only, or as a test.
func TestFileOf(t *testing.T) {
	t.Parallel()
	for module, want := range map[string]string{
		"comfy_extras.nodes_string": "string.go", "nodes": "nodes.go", "comfy_extras.nodes_context_windows": "contextwindows.go",
		"comfy_extras.nodes_model_test": "modeltest.go", "comfy_extras.nodes_video_model": "video_model.go", "comfy_extras.nodes_windows": "windows.go",
	} {
		if got := fileOf(module); got != want {
			t.Errorf("%s is in %s, want %s", module, got, want)
		}
	}
}

// TestAdd writes two classes of one module into a tree, the second into the file of the first.
func TestAdd(t *testing.T) {
	t.Parallel()
	infos := objectinfo.Recorded(t)
	root := t.TempDir()
	for _, name := range []string{"RegexMatch", "RegexExtract"} {
		path, err := add(root, "", name, infos)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(root, "nodes", "text", "string.go"); path != want {
			t.Errorf("%s is in %s, want %s", name, path, want)
		}
	}
	source, err := os.ReadFile(filepath.Join(root, "nodes", "text", "string.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"nodes.Register(&RegexMatch{})\n\tnodes.Register(&RegexExtract{})\n}", "CaseInsensitive bool   `in:\"case_insensitive\" advanced:\"true\" default:\"true\"`",
		`return nodes.Unwritten("RegexExtract")`, `options:"First Match|All Matches|First Group|All Groups"`,
	} {
		if !strings.Contains(string(source), want) {
			t.Errorf("the file lacks %s:\n%s", want, source)
		}
	}
	if _, err := add(root, "", "RegexMatch", infos); err == nil {
		t.Error("a class was added twice")
	}
	if _, err := add(root, "", "NoSuchClass", infos); err == nil {
		t.Error("an unknown class was added")
	}
}

// TestNoClassIsUnwritten refuses skeletons in the tree.
func TestNoClassIsUnwritten(t *testing.T) {
	t.Parallel()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(filepath.Join(root, "nodes"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Unwritten" {
				t.Errorf("%s: Run is not written", set.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil || files < 50 {
		t.Errorf("%d files were read: %v", files, err)
	}
}
