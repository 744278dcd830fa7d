package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"comfygo/cli"
	"comfygo/internal/apiclient"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/workflow"
)

// stock is what there is to run a workflow with: the node classes as /object_info has them, and the embeddings.
type stock struct {
	class      func(name string) *pyjson.Object
	embeddings []string
}

// Check says what a workflow needs that is not here, or not at a server: nodes, models, files, inputs.
func (c Command) Check(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	given, err := readWorkflow(o.Args[0], c.Stdin)
	if err != nil {
		return err
	}
	here, err := localStock(cfg)
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

// localStock is what this program has, with the folders that the flags name.
func localStock(cfg cli.Config) (stock, error) {
	dirs, err := openFolders(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return stock{}, err
	}
	registry, env := nodes.Default(), nodes.Env{Folders: dirs}
	return stock{embeddings: dirs.List("embeddings"), class: func(name string) *pyjson.Object {
		class, ok := registry.Get(name)
		if !ok {
			return nil
		}
		return plainObject(class.Info(env))
	}}, nil
}

// plainObject is a description as clients read it; nil when it cannot be written.
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

// remoteStock is what a server has. Each class is asked for once.
func remoteStock(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) (stock, error) {
	s, err := remote(cfg, o)
	if err != nil {
		return stock{}, err
	}
	here := stock{}
	if err := s.Get(ctx, "/embeddings", &here.embeddings); err != nil {
		return here, plainly(err, o.Server)
	}
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
