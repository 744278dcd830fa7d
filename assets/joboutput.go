package assets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// LoaderPath returns the name by which a loader node finds a file: its path below its storage folder, or below the folder of
// its kind of model; "" if no loader would find it.
func (l *Library) LoaderPath(path string) string { return l.loaderPath(path) }

// Output returns the reference of a file that a job has saved, given as an entry of a node's output (filename, subfolder,
// type) in the job's folders, and enters it when it is missing. Small files have their hash then. ok is false when the file is gone, or when it is another
// job's by now.
func (l *Library) Output(ctx context.Context, dirs *folders.Folders, entry any, job, owner string) (it Item, ok bool, err error) {
	file, kind := l.outputFile(ctx, dirs, entry)
	if file == "" {
		return it, false, nil
	}
	id, found := "", false
	err = l.tx(ctx, func(tx *sql.Tx) error {
		id, found, err = outputAt(tx, file, job, owner)
		return err
	})
	if err != nil || found && id == "" {
		return it, false, wrap("looking for an output", err)
	}
	if !found {
		name, _ := entry.(*pyjson.Object)
		if it, err = l.Register(ctx, file, Entry{Owner: owner, Name: name.String("filename"), Tags: []string{kind}}); err != nil {
			return it, false, err
		}
		if err := l.enter(ctx, file, job); err != nil {
			return it, false, fmt.Errorf("registering an output: %w", err)
		}
		id = it.ID
	}
	if it, err = l.Get(ctx, id, owner); err != nil {
		if _, is := IsProblem(err); is {
			return it, false, nil
		}
		return it, false, err
	}
	return it, true, nil
}

// outputAt looks for the reference of a job's output. It is not found when it has to be entered, or hashed; found without an
// id when it belongs to another owner, or is deleted.
func outputAt(tx *sql.Tx, file, job, owner string) (id string, found bool, err error) {
	var ofJob, ofOwner, hash string
	var gone bool
	var size int64
	err = tx.QueryRow(`SELECT r.id, coalesce(r.job_id, ''), r.owner_id, coalesce(a.hash, ''), r.deleted_at IS NOT NULL, a.size_bytes FROM asset_references r
		JOIN assets a ON a.id = r.asset_id WHERE r.file_path = ?`, file).Scan(&id, &ofJob, &ofOwner, &hash, &gone, &size)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, err
	case ofJob != "" && ofJob != job, ofOwner != "" && ofOwner != owner, gone && ofJob == job:
		return "", true, nil
	}
	return id, ofJob == job && (hash != "" || size > hashNow), nil
}
