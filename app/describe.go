package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comfygo/cli"
	"comfygo/engine/family"
	"comfygo/engine/inspect"
	"comfygo/folders"
	"comfygo/server/models"
)

// describeModels describes model files for the server's lists.
func describeModels(i *inspect.Inspector) func(ctx context.Context, kind string, paths []string) []models.Description {
	return func(ctx context.Context, kind string, paths []string) []models.Description {
		if !inspect.Covers(kind) {
			return nil
		}
		out := make([]models.Description, len(paths))
		for k, d := range i.Files(ctx, paths) {
			out[k] = models.Description{Kinds: d.Kinds, Family: d.Family, Problem: inspect.Problem(d, kind)}
		}
		return out
	}
}

// doctorLimit bounds the time in which the doctor looks into model files.
const doctorLimit = 20 * time.Second

// mostProblems is the number of files of one folder that the doctor names.
const mostProblems = 5

// The folders whose files the doctor reads, with the names that it prints for them.
var doctorFolders = []struct{ kind, name string }{
	{"checkpoints", "checkpoint"},
	{"diffusion_models", "diffusion model"},
	{"vae", "VAE"},
	{"text_encoders", "text encoder"},
	{"loras", "LoRA"},
	{"controlnet", "ControlNet"},
	{"upscale_models", "upscale model"},
	{"clip_vision", "image encoder"},
	{"audio_encoders", "audio encoder"},
}

// checkModels counts the model files that can be used and names those that cannot. A file that cannot be used is a warning:
// others may do.
func checkModels(ctx context.Context, dirs *folders.Folders) []finding {
	ctx, stop := context.WithTimeout(ctx, doctorLimit)
	defer stop()
	var look inspect.Inspector
	var counts []string
	var problems []finding
	usable := 0
	for _, f := range doctorFolders {
		names, paths := modelFiles(dirs, f.kind)
		if len(names) == 0 && f.kind != "checkpoints" {
			continue
		}
		bad := 0
		for k, d := range look.Files(ctx, paths) {
			problem := inspect.Problem(d, f.kind)
			if problem == "" {
				continue
			}
			if bad++; bad <= mostProblems {
				problems = append(problems, unusableModel(f.kind+"/"+names[k], d, problem))
			}
		}
		if more := bad - mostProblems; more > 0 {
			problems = append(problems, finding{warning, "model", fmt.Sprintf("%d more files in %s cannot be used", more, f.kind), "`comfygo check FILE` says why"})
		}
		text := plural(len(names), f.name)
		if bad > 0 {
			text += fmt.Sprintf(" (%d usable)", len(names)-bad)
		}
		counts = append(counts, text)
		if f.kind == "checkpoints" || f.kind == "diffusion_models" {
			usable += len(names) - bad
		}
	}
	sum := finding{good, "models", strings.Join(counts, ", ") + " in " + dirs.Models(), ""}
	if usable == 0 {
		sum.verdict = warning
		sum.remedy = "put a .safetensors file of a model that runs into " + filepath.Join(dirs.Models(), "checkpoints") +
			fmt.Sprintf(", or start with --demo-model; docs/models.md lists the %d families that run", len(runningFamilies()))
	}
	return append([]finding{sum}, problems...)
}

// unusableModel is the finding for a file that cannot be used.
func unusableModel(name string, d family.Description, problem string) finding {
	text := name
	if d.Family != "" {
		text += " (" + d.Family + ")"
	}
	if d.Advice != "" {
		problem = strings.TrimSuffix(problem, "; "+d.Advice)
	}
	return finding{warning, "model", text + " cannot be used: " + problem, d.Advice}
}

// modelFiles lists the files of a model folder with their paths.
func modelFiles(dirs *folders.Folders, kind string) (names, paths []string) {
	for _, name := range dirs.List(kind) {
		if path, ok := dirs.Find(kind, name); ok {
			names, paths = append(names, name), append(paths, path)
		}
	}
	return names, paths
}

// runningFamilies lists the families of diffusion models that can be run.
func runningFamilies() []string {
	var out []string
	for _, f := range family.Default.Diffusion() {
		out = append(out, f.Name())
	}
	return out
}

// isModelFile reports whether the word given to the command check is a model file and no workflow.
func isModelFile(word string) bool {
	return slices.Contains(modelEndings, strings.ToLower(filepath.Ext(word)))
}

// modelReport is the command check's JSON output for a model file.
type modelReport struct {
	OK   bool   `json:"ok"`
	File string `json:"file"`
	family.Description
}

// checkModel describes a model file: one at a path, or FOLDER/NAME below the model folders.
func (c Command) checkModel(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	if o.Server != "" {
		return fmt.Errorf("%s is a model file, which is looked at here: leave out --server, or list the server's files by `comfygo models`", o.Args[0])
	}
	path, folder, err := findModelFile(cfg, o.Args[0])
	if err != nil {
		return err
	}
	var look inspect.Inspector
	d := look.File(ctx, path)
	problem := inspect.Problem(d, folder)
	r := modelReport{d.Runs && problem == "", path, d}
	if d.Runs {
		r.Why = problem
	}
	if o.JSON {
		err = c.print(r)
	} else {
		text := d.String()
		if d.Runs && problem != "" {
			text += "; " + problem
		}
		_, err = fmt.Fprintf(c.Stdout, "%s: %s\n", path, text)
	}
	if err == nil && !r.OK {
		err = &cli.ExitError{Code: cli.CodeFailed}
	}
	return err
}

// findModelFile returns the path of a model file, and its model folder when the word names it by one.
func findModelFile(cfg cli.Config, word string) (path, folder string, err error) {
	if _, err := os.Stat(word); err == nil {
		return word, "", nil
	}
	dirs, err := openFolders(cfg, discard)
	if err != nil {
		return "", "", err
	}
	folder, name, _ := strings.Cut(filepath.ToSlash(word), "/")
	if path, ok := dirs.Find(folder, name); ok {
		return path, folder, nil
	}
	return "", "", fmt.Errorf("there is no file %s, neither here nor below %s: give a path, or FOLDER/NAME such as checkpoints/model.safetensors", word, dirs.Models())
}
