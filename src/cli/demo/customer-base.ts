/** The made customer base of a telecom: nobody in it exists. Every value follows from the row's number by arithmetic, so each run makes the same base. */

export const CUSTOMER_COUNT = 1_500_000;
const INVOICE_COUNT = 600_000;

/** Passwords of the logins that a visitor of the demo may use; the superuser has another one, which is told to nobody. */
export const STAFF_PASSWORD = 'demo';

/** A number from 0 below 2^32; another `salt` gives another one for the same row. */
function hashed(row: string, salt: number): string {
  return `(hashint8extended(${row}, ${salt}) & 4294967295)`;
}

/** A number from 1 to `size`, which is an SQL expression, too. */
function pick(row: string, salt: number, size: number | string): string {
  return `(1 + ${hashed(row, salt)} % ${size})`;
}

export const SCHEMA_SQL = `
CREATE ROLE rowgate LOGIN PASSWORD '${STAFF_PASSWORD}';
CREATE ROLE staff;
CREATE ROLE agent LOGIN PASSWORD '${STAFF_PASSWORD}' IN ROLE staff;
CREATE ROLE agent_2 LOGIN PASSWORD '${STAFF_PASSWORD}' IN ROLE staff;
CREATE ROLE analyst LOGIN PASSWORD '${STAFF_PASSWORD}' IN ROLE staff;
CREATE ROLE dba LOGIN PASSWORD '${STAFF_PASSWORD}' IN ROLE staff;

CREATE TABLE public.tariffs (name text PRIMARY KEY, price_czk numeric(8,2) NOT NULL, data_gb int);
INSERT INTO public.tariffs VALUES
  ('Start', 199, 2), ('Klasik', 349, 8), ('Rodina', 499, 20), ('Plus', 599, 40), ('Neomezeně', 899, NULL), ('Senior', 149, 1), ('Firma', 749, 60);

CREATE SCHEMA crm;

-- Given and family names by tongue; Czech family names differ by sex.
CREATE TEMPORARY TABLE names (tongue int, sex int, given text[], family text[]);
INSERT INTO names VALUES
  (0, 0, '{Jiří,Jan,Petr,Josef,Pavel,Martin,Tomáš,Jaroslav,Miroslav,Zdeněk,Václav,Michal,František,Jakub,Milan,Karel,Lukáš,David,Vladimír,Ondřej,Ladislav,Marek,Stanislav,Daniel,Radek,Antonín,Vojtěch,Filip,Adam,Matěj,Aleš,Štěpán,Bohumil,Řehoř}',
         '{Novák,Svoboda,Novotný,Dvořák,Černý,Procházka,Kučera,Veselý,Horák,Němec,Marek,Pospíšil,Pokorný,Hájek,Král,Jelínek,Růžička,Beneš,Fiala,Sedláček,Doležal,Zeman,Kolář,Navrátil,Čermák,Vaněk,Urban,Blažek,Kříž,Kopecký,Šimek,Řezníček,Ďurica,Říha,Šťastný,Žák}'),
  (0, 1, '{Jana,Marie,Eva,Hana,Anna,Lenka,Kateřina,Věra,Lucie,Alena,Petra,Veronika,Jaroslava,Tereza,Martina,Michaela,Jitka,Helena,Ludmila,Zdeňka,Ivana,Monika,Eliška,Zuzana,Markéta,Barbora,Jiřina,Kristýna,Božena,Adéla,Růžena,Šárka,Žaneta}',
         '{Nováková,Svobodová,Novotná,Dvořáková,Černá,Procházková,Kučerová,Veselá,Horáková,Němcová,Marková,Pospíšilová,Pokorná,Hájková,Králová,Jelínková,Růžičková,Benešová,Fialová,Sedláčková,Doležalová,Zemanová,Kolářová,Navrátilová,Čermáková,Vaňková,Urbanová,Blažková,Křížová,Kopecká,Šimková,Řezníčková,Ďuricová,Říhová,Šťastná,Žáková}'),
  (1, 0, '{Олександр,Сергій,Володимир,Андрій,Микола,Юрій,Дмитро,Іван,Тарас,Богдан}', '{Шевченко,Бондаренко,Коваленко,Ткаченко,Кравченко,Олійник,Лисенко,Мельник,Поліщук,Гриценко}'),
  (1, 1, '{Олена,Наталія,Оксана,Ірина,Тетяна,Юлія,Світлана,Анастасія,Людмила,Соломія}', '{Шевченко,Бондаренко,Коваленко,Ткаченко,Кравченко,Олійник,Лисенко,Мельник,Поліщук,Гриценко}'),
  (2, 0, '{Văn Hùng,Minh Đức,Quốc Anh,Hữu Phước,Đình Trọng,Thanh Tùng,Xuân Trường}', '{Nguyễn,Trần,Lê,Phạm,Hoàng,Phan,Vũ,Đặng,Bùi,Đỗ}'),
  (2, 1, '{Thị Hương,Thị Lan,Ngọc Ánh,Thu Thủy,Bích Phượng,Mỹ Duyên,Kim Oanh}', '{Nguyễn,Trần,Lê,Phạm,Hoàng,Phan,Vũ,Đặng,Bùi,Đỗ}'),
  (3, 0, '{Γιώργος,Δημήτρης,Κώστας,Γιάννης,Νίκος,Παναγιώτης}', '{Παπαδόπουλος,Αντωνίου,Γεωργίου,Νικολάου,Βλάχος,Οικονόμου}'),
  (3, 1, '{Μαρία,Ελένη,Κατερίνα,Βασιλική,Σοφία,Άννα}', '{Παπαδοπούλου,Αντωνίου,Γεωργίου,Νικολάου,Βλάχου,Οικονόμου}'),
  (4, 0, '{Łukasz,Paweł,Michał,Grzegorz,Wojciech,Rafał}', '{Wójcik,Kowalczyk,Kamiński,Zieliński,Szymański,Woźniak,Dąbrowski,Kozłowski}'),
  (4, 1, '{Małgorzata,Agnieszka,Elżbieta,Jadwiga,Zofia,Grażyna}', '{Wójcik,Kowalczyk,Kamińska,Zielińska,Szymańska,Woźniak,Dąbrowska,Kozłowska}'),
  (5, 0, '{Jürgen,Günter,Jörg,Björn,Søren,François}', '{Müller,Schröder,Größl,Weiß,Jørgensen,Lefèvre,Núñez,Þórsson}'),
  (5, 1, '{Käthe,Bärbel,Zoë,Chloë,Åsa,Inés}', '{Müller,Schröder,Größl,Weiß,Jørgensen,Lefèvre,Núñez,Þórsdóttir}');

CREATE TABLE crm.customers AS
SELECT g AS id,
       n.given[${pick('g', 1, 'cardinality(n.given)')}] AS given_name,
       n.family[${pick('g', 2, 'cardinality(n.family)')}] AS family_name,
       -- 7919 and 99999989 are primes: no two customers share a number.
       '+4207' || lpad((g::bigint * 7919 % 99999989)::text, 8, '0') AS msisdn,
       'user' || to_hex(g::bigint * 48271 % 2147483647) || (ARRAY['@example.cz', '@example.com', '@example.org', '@example.net'])[${pick('g', 3, 4)}] AS email,
       date '1938-01-01' + (${pick('g', 4, 25000)})::int AS birth_date,
       (ARRAY['Praha','Praha','Praha','Brno','Brno','Ostrava','Plzeň','Liberec','Olomouc','České Budějovice','Hradec Králové','Ústí nad Labem','Pardubice','Zlín','Havířov','Kladno','Třebíč','Žďár nad Sázavou','Uherské Hradiště','Český Krumlov'])[${pick('g', 5, 20)}] AS city,
       (ARRAY['Start','Start','Klasik','Klasik','Klasik','Rodina','Rodina','Plus','Neomezeně','Senior','Firma'])[${pick('g', 6, 11)}] AS tariff,
       (99 + ${hashed('g', 7)} % 140000 / 100.0)::numeric(8,2) AS monthly_spend_czk,
       ${pick('g', 8, 100)} <= 38 AS marketing_consent
FROM generate_series(1, ${CUSTOMER_COUNT}) g
JOIN names n ON n.tongue = coalesce((ARRAY[1,1,1,1,1,1,1,2,2,2,2,2,3,3,4,4,4,5,5])[${pick('g', 9, 100)}], 0) AND n.sex = ${hashed('g', 10)} % 2
-- A plain SELECT then begins with customer 1, in every run.
ORDER BY g;

CREATE TABLE crm.invoices AS
SELECT g AS id, ${pick('g', 11, CUSTOMER_COUNT)}::int AS customer_id, date '2026-01-31' - (30 * (g % 6))::int AS issued, (99 + ${hashed('g', 12)} % 140000 / 100.0)::numeric(8,2) AS amount_czk, ${pick('g', 13, 100)} > 6 AS paid
FROM generate_series(1, ${INVOICE_COUNT}) g;
DROP TABLE names;

ALTER TABLE crm.customers ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX ON crm.customers (msisdn);
ALTER TABLE crm.invoices ADD PRIMARY KEY (id);
CREATE INDEX ON crm.invoices (customer_id);

CREATE VIEW crm.contacts AS SELECT id, given_name, family_name, msisdn, email FROM crm.customers;
CREATE VIEW crm.campaign AS SELECT id, given_name, family_name, msisdn, tariff FROM crm.customers WHERE marketing_consent;

-- Staff may read everything and make tables of their own: ordinary privileges, which is what the copy in the real case was taken with.
GRANT USAGE ON SCHEMA crm TO staff;
GRANT SELECT ON ALL TABLES IN SCHEMA crm, public TO staff;
GRANT CREATE ON SCHEMA public TO staff;
ANALYZE;
`;
