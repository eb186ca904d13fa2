-- A collection without files and folders is none.
DELETE FROM collections WHERE staged = 0 AND count = 0 AND folders = 0;
