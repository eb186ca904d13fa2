-- What the operator lets this member do, in place of what the settings let everybody do. NULL: as the settings say.
ALTER TABLE members ADD COLUMN own_files BIGINT CHECK (own_files >= 0);
ALTER TABLE members ADD COLUMN own_changes_per_minute BIGINT CHECK (own_changes_per_minute > 0);
