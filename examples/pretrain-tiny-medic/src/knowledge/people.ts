import { list } from './types'

export const femaleNames = list(
  'Agnes; Alma; Amara; Anita; Beatrix; Birgit; Bronwen; Camille; Celia; Chiara; Clara; Dalia; Delphine; Dora; Edith; Elena; Elsa; Emmeline; Esther; Farah; Fatima; Fiona; Flora; Freya; Gemma; Greta; Gwen; Hana; Hazel; Helga; Ida; Imani; Ines; Ingrid; Irene; Isla; Ivy; Jana; Joan; Judith; Kamala; Karin; Keiko; Laila; Leonie; Lena; Lucia; Lydia; Mabel; Maeve; Marta; Mei; Mina; Miriam; Nadia; Naomi; Nina; Noor; Odette; Olga; Opal; Paloma; Petra; Pilar; Priya; Ramona; Rosa; Ruth; Sabine; Salma; Selma; Signe; Silvia; Sunita; Tamar; Thea; Tilda; Ursula; Vera; Wanda; Willa; Yara; Yvonne; Zora',
)

export const maleNames = list(
  'Abel; Adrian; Ahmed; Alban; Amir; Anders; Anton; Arjun; Arne; Bashir; Bruno; Caleb; Casper; Cedric; Clive; Conrad; Dario; Davi; Diego; Dylan; Edgar; Elias; Emil; Enzo; Ernest; Felix; Fergus; Floyd; Gareth; Gideon; Gustav; Hakim; Harold; Hassan; Henrik; Hugo; Idris; Ivan; Jamal; Jasper; Joel; Jonas; Julian; Kenji; Klaus; Lars; Leon; Luca; Magnus; Malik; Marcel; Marek; Matteo; Milo; Nabil; Nikolai; Nolan; Omar; Orson; Oskar; Otis; Owen; Pablo; Percy; Quentin; Rafael; Rajesh; Reuben; Roland; Samir; Saul; Silas; Stefan; Sven; Tariq; Theo; Tobias; Uwe; Viktor; Walter; Wei; Xavier; Yusuf; Zane',
)

const familyStarts = list(
  'Ash; Bar; Bel; Berg; Black; Brad; Cald; Carl; Cran; Dal; Den; Dor; East; Ed; Ell; Fair; Farn; Fen; Gar; Gil; Gran; Hal; Har; Hart; Haw; Hol; Hux; Kel; Kings; Lang; Lind; Lock; Mar; Mel; Mer; Mil; Nor; Oak; Ol; Pem; Pres; Quin; Rad; Red; Ros; Sel; Shel; Stan; Sten; Strat; Thorn; Tor; Up; Van; Wal; War; West; Whit; Win; Wood; Yar',
)

const familyEnds = list(
  'bach; beck; berg; bourne; brook; by; combe; dale; den; don; feld; field; ford; gate; grove; ham; hurst; ington; kamp; land; ler; ley; low; man; mann; mere; mond; mont; more; ney; nez; owski; ridge; ros; rup; sen; shaw; son; stad; stead; stein; stone; strom; tham; ton; vale; wald; well; wick; win; wood; worth',
)

/** Family names are put together from parts, so that most of them are met in one document only. */
export const familyNames = { starts: familyStarts, ends: familyEnds }

export const months = list(
  'January; February; March; April; May; June; July; August; September; October; November; December',
)

export const occupations = list(
  'retired teacher; baker; bus driver; carpenter; librarian; accountant; nurse; farmer; electrician; shop assistant; cook; postal worker; gardener; software developer; welder; hairdresser; student; retired engineer; musician; cleaner; warehouse worker; plumber; tailor; translator; fisherman; office clerk; security guard; painter; kindergarten teacher',
)

export const allergens = list(
  'penicillin; sulfa drugs; peanuts; latex; shellfish; codeine; iodine contrast; bee stings; aspirin; eggs',
)

export const settings = list(
  'clinic visit; telephone visit; emergency visit; home visit; follow-up visit; annual checkup; urgent care visit; video visit',
)

export const specialties = list(
  'cardiology; endocrinology; the eye clinic; physical therapy; the dietitian; neurology; the kidney clinic; the sleep clinic; rheumatology; dermatology; the lung clinic; counseling',
)

export const procedures = list(
  'a chest x-ray; an electrocardiogram; an echocardiogram; a colonoscopy; a stress test; a bone density scan; an ultrasound of the abdomen; a sleep study; a lung function test; an MRI of the brain; an eye examination; a foot examination',
)
