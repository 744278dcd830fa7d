CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0006_add_loader_path');

CREATE TABLE assets (
	id VARCHAR(36) NOT NULL PRIMARY KEY,
	hash VARCHAR(256),
	size_bytes BIGINT NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
	mime_type VARCHAR(255),
	created_at DATETIME NOT NULL
);
CREATE UNIQUE INDEX uq_assets_hash ON assets (hash);
CREATE INDEX ix_assets_mime_type ON assets (mime_type);

CREATE TABLE asset_references (
	id VARCHAR(36) NOT NULL PRIMARY KEY,
	asset_id VARCHAR(36) NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
	file_path TEXT,
	mtime_ns BIGINT CHECK (mtime_ns IS NULL OR mtime_ns >= 0),
	needs_verify BOOLEAN NOT NULL DEFAULT 0,
	is_missing BOOLEAN NOT NULL DEFAULT 0,
	enrichment_level INTEGER NOT NULL DEFAULT 0 CHECK (enrichment_level BETWEEN 0 AND 2),
	owner_id VARCHAR(128) NOT NULL DEFAULT '',
	name VARCHAR(512) NOT NULL,
	preview_id VARCHAR(36) REFERENCES asset_references (id) ON DELETE SET NULL,
	user_metadata JSON,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	last_access_time DATETIME NOT NULL,
	deleted_at DATETIME,
	system_metadata JSON,
	job_id VARCHAR(36),
	loader_path TEXT
);
CREATE UNIQUE INDEX uq_asset_references_file_path ON asset_references (file_path);
CREATE INDEX ix_asset_references_asset_id ON asset_references (asset_id);
CREATE INDEX ix_asset_references_owner_id ON asset_references (owner_id);
CREATE INDEX ix_asset_references_name ON asset_references (name);
CREATE INDEX ix_asset_references_is_missing ON asset_references (is_missing);
CREATE INDEX ix_asset_references_enrichment_level ON asset_references (enrichment_level);
CREATE INDEX ix_asset_references_created_at ON asset_references (created_at);
CREATE INDEX ix_asset_references_last_access_time ON asset_references (last_access_time);
CREATE INDEX ix_asset_references_deleted_at ON asset_references (deleted_at);
CREATE INDEX ix_asset_references_preview_id ON asset_references (preview_id);
CREATE INDEX ix_asset_references_owner_name ON asset_references (owner_id, name);

CREATE TABLE tags (
	name VARCHAR(512) NOT NULL,
	CONSTRAINT pk_tags PRIMARY KEY (name)
);
INSERT INTO tags (name) VALUES ('models'), ('input'), ('output'), ('configs'), ('checkpoints'), ('loras'), ('vae'),
	('text_encoders'), ('diffusion_models'), ('clip_vision'), ('style_models'), ('embeddings'), ('diffusers'),
	('vae_approx'), ('controlnet'), ('gligen'), ('upscale_models'), ('hypernetworks'), ('photomaker'), ('classifiers'),
	('encoder'), ('decoder'), ('missing'), ('rescan');

CREATE TABLE asset_reference_tags (
	asset_reference_id VARCHAR(36) NOT NULL REFERENCES asset_references (id) ON DELETE CASCADE,
	tag_name VARCHAR(512) NOT NULL REFERENCES tags (name) ON DELETE RESTRICT,
	origin VARCHAR(32) NOT NULL DEFAULT 'manual',
	added_at DATETIME NOT NULL,
	CONSTRAINT pk_asset_reference_tags PRIMARY KEY (asset_reference_id, tag_name)
);
CREATE INDEX ix_asset_reference_tags_tag_name ON asset_reference_tags (tag_name);
CREATE INDEX ix_asset_reference_tags_asset_reference_id ON asset_reference_tags (asset_reference_id);

CREATE TABLE asset_reference_meta (
	asset_reference_id VARCHAR(36) NOT NULL REFERENCES asset_references (id) ON DELETE CASCADE,
	"key" VARCHAR(256) NOT NULL,
	ordinal INTEGER NOT NULL DEFAULT 0,
	val_str VARCHAR(2048),
	val_num NUMERIC(38, 10),
	val_bool BOOLEAN,
	val_json JSON,
	CONSTRAINT pk_asset_reference_meta PRIMARY KEY (asset_reference_id, "key", ordinal),
	CONSTRAINT ck_asset_reference_meta_has_value CHECK (val_str IS NOT NULL OR val_num IS NOT NULL OR val_bool IS NOT NULL OR val_json IS NOT NULL)
);
CREATE INDEX ix_asset_reference_meta_key ON asset_reference_meta ("key");
CREATE INDEX ix_asset_reference_meta_key_val_str ON asset_reference_meta ("key", val_str);
CREATE INDEX ix_asset_reference_meta_key_val_num ON asset_reference_meta ("key", val_num);
CREATE INDEX ix_asset_reference_meta_key_val_bool ON asset_reference_meta ("key", val_bool);
