package goldencheck

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/internal/golden"
)

type textCase struct {
	ID     string `json:"id"`
	Prompt string `json:"prompt"`
	Skip   *int   `json:"clip_skip"`
}

type textGolden struct {
	Doc   string     `json:"doc"`
	Cases []textCase `json:"cases"`
	// Err64 holds the errors of parts of the encoder by layer.
	Err64 map[string]errorsOf `json:"err64_module"`
	// Clips and Type, when given, are the files and the loader's type in place of those in Doc.
	Clips []string `json:"clips"`
	Type  string   `json:"type"`
}

var (
	loadClip = regexp.MustCompile(`load_clip\(\[([^\]]*)\], *(\w+)\)`)
	encodeOn = regexp.MustCompile(`CLIPTextEncode on ([\w-]+)`)
)

// sources returns the checkpoints that the encodings were made with and the type that the loader was given. Goldens state
// both in their doc.
func (g textGolden) sources() (names []string, kind string, err error) {
	if len(g.Clips) > 0 {
		return g.Clips, strings.ToLower(g.Type), nil
	}
	if m := loadClip.FindStringSubmatch(g.Doc); m != nil {
		for name := range strings.SplitSeq(m[1], ",") {
			names = append(names, strings.Trim(name, ` '"`))
		}
		return names, strings.ToLower(m[2]), nil
	}
	if m := encodeOn.FindStringSubmatch(g.Doc); m != nil {
		return []string{m[1]}, "", nil
	}
	return nil, "", unavailable("the golden does not say which text encoder it was made with")
}

// checkText encodes prompts.
func checkText(ctx context.Context, r *run, f *file) error {
	var g textGolden
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	measured := []float64{r.measured[f.name]}
	for _, parts := range g.Err64 {
		for _, e := range parts {
			measured = append(measured, e.RMSRel)
		}
	}
	clip, loadErr := r.clip(ctx, g)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(measured...)}
		err := loadErr
		if err == nil {
			err = c.run(ctx, clip, &s)
		}
		r.note(f, c.ID, s.detail(), err)
	}
	return nil
}

func (r *run) clip(ctx context.Context, g textGolden) (*engine.CLIP, error) {
	names, kind, err := g.sources()
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range names {
		file, err := r.checkpoint(ctx, name)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if kind == "" { // a checkpoint
		_, clip, _, err := r.Runtime.LoadCheckpoint(files[0])
		if err == nil && clip == nil {
			err = fmt.Errorf("loading %s: it holds no text encoder", files[0])
		}
		return clip, notBuilt(err)
	}
	if types := r.Runtime.CLIPTypes(); !slices.Contains(types, kind) {
		return nil, unavailable("text encoders of type %s with %s are not built; types that run: %s", kind, strings.Join(names, " and "), strings.Join(types, ", "))
	}
	clip, err := r.Runtime.LoadCLIP(kind, files...)
	return clip, notBuilt(err)
}

func (c textCase) run(ctx context.Context, clip *engine.CLIP, s *tensorSet) error {
	if c.Skip != nil {
		clip = clip.WithLayer(*c.Skip)
	}
	got, err := clip.Encode(ctx, c.Prompt)
	if err != nil {
		return fmt.Errorf("encoding the prompt: %w", err)
	}
	if len(got) != 1 {
		return fmt.Errorf("%d entries of conditioning, want 1", len(got))
	}
	s.compare("cond", got[0].Tokens.Data)
	if s.stored.Has(c.ID + "/pooled") {
		if got[0].Pooled == nil {
			return fmt.Errorf("the encoding has no pooled output")
		}
		s.compare("pooled", got[0].Pooled.Data)
	}
	return s.err()
}

// embeddingName is the textual inversion that prompts of goldens name, and its manifest.
const embeddingName = "emb_test"

// Embeddings returns the lookup of textual inversions for the runtime of a run: the one that the goldens' prompts name is
// made in the cache from the manifest in the folder models.
func Embeddings(ctx context.Context, models string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		if strings.TrimSuffix(name, ".safetensors") != embeddingName {
			return "", false
		}
		manifests, err := findManifests(models)
		if err != nil {
			return "", false
		}
		for _, m := range manifests {
			if spelling(m.name) == spelling(embeddingName) {
				path, err := golden.Ensure(ctx, m.path)
				return path, err == nil
			}
		}
		return "", false
	}
}
