-- Copies the schema `accounts` to the one that is named by the setting `choir.copy`, with all that makes it usable in the
-- place of the first: keys, checks, functions, and where numbers go on. One of the same name is replaced, and of all
-- copies as many stay, the newest, as `choir.copies` says.
DO $$
DECLARE
    copy CONSTANT TEXT := current_setting('choir.copy');
    part RECORD;
BEGIN
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', copy);
    EXECUTE format('CREATE SCHEMA %I', copy);
    FOR part IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'accounts' LOOP
        EXECUTE format('CREATE TABLE %I.%I (LIKE accounts.%I INCLUDING ALL)', copy, part.name, part.name);
        EXECUTE format('INSERT INTO %I.%I OVERRIDING SYSTEM VALUE SELECT * FROM accounts.%I', copy, part.name, part.name);
    END LOOP;
    -- A member's number is never given to another key.
    FOR part IN
        SELECT pg_get_serial_sequence(format('accounts.%I', table_name), column_name) AS old,
               pg_get_serial_sequence(format('%I.%I', copy, table_name), column_name) AS new
        FROM information_schema.columns WHERE table_schema = 'accounts' AND is_identity = 'YES'
    LOOP
        EXECUTE format('SELECT setval(%L, last_value, is_called) FROM %s', part.new, part.old);
    END LOOP;
    FOR part IN SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE pronamespace = 'accounts'::regnamespace LOOP
        EXECUTE replace(part.text, 'FUNCTION accounts.', format('FUNCTION %I.', copy));
    END LOOP;
    -- Names end with numbers of four digits.
    FOR part IN
        SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^accounts_before_[0-9]{4}$'
        ORDER BY nspname DESC OFFSET CAST(current_setting('choir.copies') AS BIGINT)
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', part.name);
    END LOOP;
END $$
