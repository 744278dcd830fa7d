package executor

import (
	"context"

	"comfygo/folders"
	"comfygo/nodes"
)

type foldersKey struct{}

// InFolders carries the folders of a prompt's owner to Validate.
func InFolders(ctx context.Context, f *folders.Folders) context.Context {
	return context.WithValue(ctx, foldersKey{}, f)
}

// FoldersOf returns the folders that InFolders or a run has put into a context, or nil.
func FoldersOf(ctx context.Context) *folders.Folders {
	f, _ := ctx.Value(foldersKey{}).(*folders.Folders)
	return f
}

// forClients returns the text of an error without the places of files on the server's disk.
func forClients(f *folders.Folders, text string) string {
	if f == nil {
		return text
	}
	return f.Shown(text)
}

// servicesIn are what nodes reach, with the folders of an owner if there are any. What they do with files ends with ctx.
func (e *Executor) servicesIn(ctx context.Context, f *folders.Folders) nodes.Services {
	s := e.services
	if f != nil {
		s.Folders = f
	}
	s.Folders = s.Folders.During(ctx)
	return s
}

// owner returns the owner of the job, or "" if owners are not distinguished.
func (j Job) owner() string {
	if j.Folders == nil {
		return ""
	}
	return j.Folders.Owner()
}
