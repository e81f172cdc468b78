-- The gazetteer. Positions are whole numbers of 1/10,000 degree.
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,       -- city, region or country
    type TEXT NOT NULL,       -- of a region: province, department, state ...
    name TEXT NOT NULL,
    country TEXT NOT NULL,    -- two-letter code
    parent INTEGER,           -- of a city: the region it lies in
    shared INTEGER NOT NULL,  -- 1 when another city of the country has the same name
    lon INTEGER NOT NULL,
    lat INTEGER NOT NULL,
    population INTEGER NOT NULL
);
CREATE TABLE region (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL,       -- ISO 3166
    area_km2 REAL,
    west REAL NOT NULL, south REAL NOT NULL, east REAL NOT NULL, north REAL NOT NULL,
    rings BLOB                -- outline, deflated; only in CLMS countries, and not for what has members
);
CREATE TABLE member (region INTEGER NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (region, part)) WITHOUT ROWID;
CREATE TABLE name (
    folded TEXT NOT NULL,
    place INTEGER NOT NULL,
    main INTEGER NOT NULL,    -- 1 for the name it is shown by
    PRIMARY KEY (folded, place)
) WITHOUT ROWID;
CREATE TABLE country_word (folded TEXT PRIMARY KEY, code TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE country_name (code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE land (rings BLOB NOT NULL);  -- one row: all land of the world, coarsely
CREATE TABLE nuts (code TEXT PRIMARY KEY, region INTEGER NOT NULL) WITHOUT ROWID;  -- NUTS regions of the same shape
