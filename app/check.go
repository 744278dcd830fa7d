package app

import (
	"context"
	"fmt"
	"net/url"

	"comfygo/cli"
	"comfygo/engine/inspect"
	"comfygo/internal/apiclient"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/workflow"
)

// stock is what a workflow is checked against: the node classes as in /object_info, and the embeddings.
type stock struct {
	class      func(name string) *pyjson.Object
	embeddings []string
	// problem explains why the model file of a folder cannot be used; it returns "" if the file can be used or that is unknown.
	problem func(folder, name string) string
}

// Check reports what a workflow needs that is missing here, or at a server: nodes, usable models, files, inputs. It names
// the type of each model file and reports whether it can be used.
func (c Command) Check(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	if isModelFile(o.Args[0]) {
		return c.checkModel(ctx, cfg, o)
	}
	given, err := readWorkflow(o.Args[0], c.Stdin)
	if err != nil {
		return err
	}
	here, err := localStock(ctx, cfg)
	if o.Server != "" {
		here, err = remoteStock(ctx, cfg, o)
	}
	if err != nil {
		return err
	}
	prompt := given
	if workflow.IsWorkflow(given) {
		if prompt, err = (workflow.Converter{Definitions: here.class}).Convert(given); err != nil {
			return fmt.Errorf("converting the workflow: %w", err)
		}
	}
	needs := check(prompt, here)
	if o.JSON {
		if err := c.print(needs.asJSON()); err != nil {
			return err
		}
	} else {
		needs.describe(c.Stdout)
	}
	if len(needs) > 0 {
		return &cli.ExitError{Code: cli.CodeFailed}
	}
	return nil
}

// localStock returns the classes and files of this program, with the folders that the flags name.
func localStock(ctx context.Context, cfg cli.Config) (stock, error) {
	dirs, err := openFolders(cfg, discard)
	if err != nil {
		return stock{}, err
	}
	registry, env := nodes.Default(), nodes.Env{Folders: dirs}
	var look inspect.Inspector
	problem := func(folder, name string) string {
		path, ok := dirs.Find(folder, name)
		if !ok || !inspect.Covers(folder) {
			return ""
		}
		return inspect.Problem(look.File(ctx, path), folder)
	}
	return stock{embeddings: dirs.List("embeddings"), problem: problem, class: func(name string) *pyjson.Object {
		class, ok := registry.Get(name)
		if !ok {
			return nil
		}
		return plainObject(class.Info(env))
	}}, nil
}

// plainObject returns a description as clients read it, or nil if it cannot be encoded.
func plainObject(o *pyjson.Object) *pyjson.Object {
	text, err := pyjson.Marshal(o)
	if err != nil {
		return nil
	}
	plain, err := pyjson.UnmarshalObject(text)
	if err != nil {
		return nil
	}
	return plain
}

// remoteStock is the stock of a server. Each class is requested once.
func remoteStock(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) (stock, error) {
	s, err := remote(cfg, o)
	if err != nil {
		return stock{}, err
	}
	here := stock{}
	if err := s.Get(ctx, "/embeddings", &here.embeddings); err != nil {
		return here, plainly(err, o.Server)
	}
	here.problem = remoteProblems(ctx, s)
	known := map[string]*pyjson.Object{}
	here.class = func(name string) *pyjson.Object {
		info, asked := known[name]
		if !asked {
			info = classOf(ctx, s, name)
			known[name] = info
		}
		return info
	}
	return here, nil
}

// remoteProblems asks a server about the model files of each folder once. A server that does not answer has no problems.
func remoteProblems(ctx context.Context, s *apiclient.Client) func(folder, name string) string {
	asked := map[string]map[string]string{}
	return func(folder, name string) string {
		problems, ok := asked[folder]
		if !ok {
			problems = map[string]string{}
			list, err := describedModels(ctx, s, folder)
			for _, m := range list {
				if err == nil && m.Problem != nil {
					problems[m.Name] = *m.Problem
				}
			}
			asked[folder] = problems
		}
		return problems[name]
	}
}

func classOf(ctx context.Context, s *apiclient.Client, name string) *pyjson.Object {
	text, err := s.Do(ctx, "GET", "/object_info/"+url.PathEscape(name), "", nil)
	if err != nil {
		return nil
	}
	answer, err := pyjson.UnmarshalObject(text)
	if err != nil {
		return nil
	}
	return answer.Object(name)
}
