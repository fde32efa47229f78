"""Standard names of structures in CT of head and neck, thorax, abdomen and pelvis, and what else they are called.

Names follow the rules of AAPM TG-263 (report 263, "Standardizing Nomenclatures in Radiation Oncology", 2018): at most
16 characters, unique ignoring case, categories joined by ``_``, the side last. The table is our own, of the organs we
train; synonyms are English, German, French, Spanish, Italian and Dutch words and names of public data sets. Case,
accents, punctuation, word order and the words for left and right need no entry (see ``labels``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIDES = ("L", "R")

SOURCE = (
    'Names by the rules of AAPM TG-263 ("Standardizing Nomenclatures in Radiation Oncology", 2018); the choice of '
    "organs and the synonyms are Gossamer's own."
)


@dataclass(frozen=True)
class Structure:
    """A row of the table.

    Attributes:
        name: standard name.
        region: part of the body it is listed under.
        side: ``L``, ``R`` or None for what has no side.
        synonyms: other names of it, without the side.
        one_piece: whether it is one organ in one piece, and stays so on CT (``_ONE_PIECE``).
    """

    name: str
    region: str
    side: str | None
    synonyms: tuple[str, ...]
    one_piece: bool

    @property
    def root(self) -> str:
        """The name without its side: ``Parotid`` of ``Parotid_L``."""
        return self.name.removesuffix(f"_{self.side}") if self.side else self.name

    @property
    def partner(self) -> str | None:
        """The same structure on the other side, or None."""
        if self.side is None:
            return None
        return f"{self.root}_{SIDES[1 - SIDES.index(self.side)]}"


# A row is "name: synonyms", over several lines as long as they end with a comma; "_*" stands for both sides.
_TABLE = {
    "head and neck": """
        A_Carotid_*: carotid, carotid artery, carotid vessel, carotid vessels, common carotid artery,
            Halsschlagader, artère carotide, arteria carotide
        Arytenoid_*: arytenoid cartilage, Aryknorpel, Stellknorpel, aryténoïde, aritenoides, aritenoide, bekerkraakbeen
        Bone_Hyoid: hyoid, hyoid bone, Zungenbein, os hyoïde, hueso hioides, osso ioide, tongbeen
        Bone_Mandible: mandible, mandibula, lower jaw, jaw bone, Unterkiefer, mandibule, mandíbula, mandibola, onderkaak
        Bone_Temporal_*: temporal bone, os temporale, Schläfenbein, os temporal, hueso temporal, osso temporale,
            slaapbeen
        BrachialPlex_*: brachial plexus, brach plex, brach plexus, Plexus brachialis, plexus brachial, plexo braquial,
            plesso brachiale
        BrachialPlexs: brachial plexuses, both brachial plexus
        Brain: cerebrum and cerebellum, whole brain, Gehirn, Hirn, encéphale, cerveau, encéfalo, cervello, hersenen
        Brainstem: brain stem, b stem, Hirnstamm, tronc cérébral, tronc, tronco cerebral, tronco encefálico, hersenstam,
            truncus cerebri
        Cavity_Nasal: nasal cavity, cavum nasi, Nasenhöhle, cavité nasale, fosses nasales, cavidad nasal, cavità nasale,
            neusholte
        Cavity_Oral: oral cavity, mouth, Mundhöhle, Mundhoehle, cavité buccale, cavité orale, cavidad oral, cavo orale,
            mondholte
        Cerebellum: Kleinhirn, cervelet, cerebelo, cervelletto, kleine hersenen
        Cochlea_*: inner ear cochlea, Hörschnecke, cochlée, cóclea, coclea, slakkenhuis
        Cornea_*: Hornhaut, cornée, córnea, hoornvlies
        Cricopharyngeus: cricopharyngeal muscle, cricopharyngeal inlet, cricopharyngeal
        Ear_Internal_*: inner ear, internal ear, Innenohr, oreille interne, oído interno, orecchio interno, binnenoor
        Ear_Middle_*: middle ear, Mittelohr, oreille moyenne, oído medio, orecchio medio, middenoor
        Eye_*: eyeball, eye ball, globe, bulbus, bulbus oculi, Auge, Augapfel, oeil, ojo, occhio, oog
        Eyes: both eyes, Augen, yeux, ojos, occhi, ogen
        Glnd_Lacrimal_*: lacrimal gland, lacrimal, Tränendrüse, Traenendruese, glande lacrymale, glándula lagrimal,
            ghiandola lacrimale, traanklier
        Glnd_Subling_*: sublingual gland, sublingual, Glandula sublingualis, Unterzungenspeicheldrüse,
            glande sublinguale,
            glándula sublingual, ghiandola sottolinguale, ondertongspeekselklier
        Glnd_Submand_*: submandibular gland, submandibular, submand, submand gland, submandib,
            submandib gland, submand gl, submandibular gl, submandibular gld, submnd salv, SM gland, SMG,
            Glandula submandibularis,
            Unterkieferspeicheldrüse, glande submandibulaire, glande sous maxillaire, glándula submandibular,
            ghiandola sottomandibolare, submandibulaire klier
        Glnd_Submands: submandibular glands, submandibulars
        Glnd_Thyroid: thyroid, thyroid gland, thyroid gl, Schilddrüse, Schilddruese, thyroïde, glande thyroïde,
            tiroides, tiroide,
            schildklier
        Glottis: glottic area, glottic larynx, larynx glot, glotte, glotis, glottide, Stimmritze
        Hippocampus_*: Hippokampus, hippocampe, hipocampo, ippocampo
        Hippocampi: both hippocampi, hippocampus bilateral
        Joint_TM_*: TM joint, TMJ, TMJoint, temporomandibular joint, Kiefergelenk, articulation temporo mandibulaire,
            ATM,
            kaakgewricht
        Larynx: voice box, Kehlkopf, laringe, strottenhoofd
        Larynx_SG: supraglottic larynx, SG larynx, supraglottis, larynx supragl, larynx supraglottic, supraglottique
        Lens_*: eye lens, lens of eye, Linse, Augenlinse, cristallin, cristalino, cristallino, ooglens
        Lips: lip, Lippen, lèvres, labios, labbra
        Lobe_Frontal_*: frontal lobe, Frontallappen, Stirnlappen, lobe frontal, lóbulo frontal, lobo frontale,
            frontaalkwab
        Lobe_Temporal_*: temporal lobe, temp lobe, Temporallappen, Schläfenlappen, lobe temporal, lóbulo temporal,
            lobo temporale,
            temporaalkwab
        Musc_Constrict: pharyngeal constrictor, pharyngeal constrictors, pharyngeal constrictor muscle, PCM,
            constrictors, pharyngeal const, pharyn const, phar const, constrictor muscle, Schlundschnürer,
            constricteurs du pharynx, muscles constricteurs
        Musc_Constrict_I: inferior pharyngeal constrictor, inferior pharyngeal constrictors, inferior constrictors,
            PCM inferior, IPCM,
            constrictor inferior, inf constrictor, inf constrictors, inf constr, inf pharyngeal constrictor,
            inf pharyngeal constrictors, inf pharyngeal const, inf phar const, inf phar cons, PharCon inf
        Musc_Constrict_M: middle pharyngeal constrictor, middle pharyngeal constrictors, middle constrictors,
            PCM middle, MPCM,
            constrictor middle, mid constrictor, mid constrictors, mid constr, mid pharyngeal constrictor,
            mid pharyngeal constrictors, mid pharyngeal const, mid phar const, mid phar cons, PharCon mid
        Musc_Constrict_S: superior pharyngeal constrictor, superior pharyngeal constrictors, superior constrictors,
            PCM superior, SPCM,
            constrictor superior, sup constrictor, sup constrictors, sup constr, sup pharyngeal constrictor,
            sup pharyngeal constrictors, sup pharyngeal const, sup phar const, sup phar cons, PharCon sup
        Musc_Masseter_*: masseter, masseter muscle, Kaumuskel, masséter, masetero, massetere
        Musc_Sclmast_*: sternocleidomastoid, sternocleidomastoid muscle, SCM, Kopfwender, sterno cléido mastoïdien
        Nasopharynx: Nasenrachen, nasofaringe, rinofaringe, rhinopharynx, nasofarynx
        OpticChiasm: optic chiasm, opt chiasm, op chiasm, chiasm, chiasma, chiasma opticum, optic chiasma,
            Sehnervenkreuzung, chiasma optique,
            quiasma, quiasma óptico, chiasma ottico
        OpticNrv_*: optic nerve, optic n, opt nerve, op nerve, opticus, Nervus opticus, Sehnerv, nerf optique,
            nervio óptico, nervo ottico,
            oogzenuw
        Oropharynx: Mundrachen, orofaringe, orofarynx
        Palate_Soft: soft palate, palatum molle, weicher Gaumen, Gaumensegel, palais mou, voile du palais,
            paladar blando,
            palato molle, zacht gehemelte
        Parotid_*: parotid gland, parotid gl, parotis, Glandula parotis, Glandula parotidea, Ohrspeicheldrüse,
            Ohrspeicheldruese,
            parotide, glande parotide, parótida, glándula parótida, ghiandola parotide, oorspeekselklier
        Parotids: parotid glands, both parotids, Ohrspeicheldrüsen, parotides, parótidas, parotidi
        Pharynx: Rachen, Schlund, faringe, keelholte
        Pituitary: pituitary gland, pituitary gl, hypophysis, Hypophyse, Hirnanhangsdrüse, glande pituitaire,
            hipófisis, ipofisi,
            hypofyse
        Retina_*: Netzhaut, rétine, netvlies
        Skull: cranium, Schädel, crâne, cráneo, cranio, schedel
        SpinalCanal: spinal canal, vertebral canal, Spinalkanal, Wirbelkanal, canal rachidien, canal médullaire,
            canal medular, canale spinale, canale midollare, wervelkanaal
        SpinalCord: spinal cord, cord, myelon, medulla spinalis, Rückenmark, Rueckenmark, moelle, moelle épinière,
            médula, médula espinal, midollo, midollo spinale, ruggenmerg
        Tongue: Zunge, langue, lengua, lingua, tong
        Tongue_Base: base of tongue, BOT, tongue base, Zungengrund, base de langue, base de la langue, base de lengua,
            base lingua, tongbasis
        VocalCord_*: vocal cord, vocal fold, Stimmband, Stimmlippe, corde vocale, cuerda vocal, corda vocale, stemband
    """,
    "thorax": """
        A_Aorta: aorta, aortic artery, Hauptschlagader, aorte
        A_LAD: LAD, LAD artery, left anterior descending, left anterior descending artery, IVA, RIVA
        A_Pulmonary: pulmonary artery, Lungenarterie, Pulmonalarterie, artère pulmonaire, arteria pulmonar,
            arteria polmonare, longslagader
        A_Subclavian_*: subclavian artery, Schlüsselbeinarterie, Subklavia, artère sous clavière, arteria subclavia,
            arteria succlavia
        Atrium_*: atrium, heart atrium, Vorhof, oreillette, aurícula, atrio
        Breast_*: breast, mamma, Brust, sein, mama, mammella, borst
        Breasts: both breasts, Brüste, seins, mamas, mammelle, borsten
        Bronchus_Main_*: main bronchus, mainstem bronchus, Hauptbronchus, bronche souche, bronche principale,
            bronquio principal, bronco principale, hoofdbronchus
        Carina: tracheal carina, carène, Luftröhrengabelung
        Chestwall: chest wall, thoracic wall, Brustwand, Thoraxwand, paroi thoracique, pared torácica, parete toracica,
            borstwand
        Chestwall_*: chest wall, thoracic wall, Brustwand, Thoraxwand, paroi thoracique, pared torácica,
            parete toracica, borstwand
        Clavicle_*: clavicle, clavicula, Schlüsselbein, clavicule, clavícula, clavicola, sleutelbeen
        Esophagus: oesophagus, oeso, gullet, Speiseröhre, Speiseroehre, Ösophagus, oesophage, esófago, esofago, slokdarm
        Glnd_Thymus: thymus, thymus gland, Thymusdrüse, glande thymique, timo, ghiandola timica, zwezerik
        GreatVes: great vessels, large vessels, große Gefäße, gros vaisseaux, grandes vasos, grandi vasi
        Heart: cor, whole heart, Herz, coeur, corazón, cuore, hart
        Humerus_*: humerus, Oberarmknochen, humérus, húmero, omero, opperarmbeen
        Lung_*: pulmo, Lunge, Lungenflügel, poumon, pulmón, polmone, long
        Lung_LLL: lung lower lobe left, left lower lobe, LLL
        Lung_LUL: lung upper lobe left, left upper lobe, LUL
        Lung_RLL: lung lower lobe right, right lower lobe, RLL
        Lung_RML: lung middle lobe right, right middle lobe, RML
        Lung_RUL: lung upper lobe right, right upper lobe, RUL
        Lungs: both lungs, total lung, lungs total, Lungen, beide Lungen, poumons, pulmones, polmoni, longen
        Pericardium: Herzbeutel, péricarde, pericardio, hartzakje
        Ribs: Rippen, côtes, costillas, coste, ribben
        Scapula_*: scapula, shoulder blade, Schulterblatt, omoplate, escápula, scapola, schouderblad
        Sternum: breastbone, breast bone, Brustbein, esternón, sterno, borstbeen
        Trachea: windpipe, Luftröhre, Luftroehre, trachée, tráquea, luchtpijp
        V_Pulmonary: pulmonary vein, pulmonary veins, Lungenvene, veine pulmonaire, vena pulmonar, vena polmonare,
            longader
        V_Venacava_S: superior vena cava, V superior vena cava, SVC, obere Hohlvene, veine cave supérieure,
            vena cava superior,
            vena cava superiore
        Ventricle_*: ventricle, heart ventricle, Herzkammer, ventricule, ventrículo, ventricolo
    """,
    "abdomen": """
        A_Celiac: celiac artery, coeliac artery, celiac trunk, Truncus coeliacus, tronc coeliaque
        A_Mesenteric_S: superior mesenteric artery, SMA
        Bag_Bowel: bowel bag, bowel space, Darmsack, sac intestinal
        BileDuct_Common: common bile duct, ductus choledochus, choledochus, CBD, cholédoque, colédoco, coledoco, galgang
        Bowel: intestine, intestines, bowels, Darm, intestin, intestino, darmen
        Bowel_Large: large bowel, large intestine, Dickdarm, gros intestin, intestino grueso, intestino crasso,
            dikke darm
        Bowel_Small: small bowel, small intestine, Dünndarm, Duenndarm, intestin grêle, grêle, intestino delgado,
            intestino tenue, dunne darm
        CaudaEquina: cauda equina, cauda, queue de cheval, cola de caballo
        Colon: Kolon, côlon
        Colon_Sigmoid: sigmoid, sigmoid colon, sigma, Sigmoid Kolon, sigmoïde, côlon sigmoïde, sigmoides, sigmoideo
        Duodenum: Zwölffingerdarm, duodénum, duodeno, twaalfvingerige darm
        Gallbladder: gall bladder, Gallenblase, vésicule biliaire, vesícula biliar, colecisti, cistifellea, galblaas
        Glnd_Adrenal_*: adrenal gland, adrenal, suprarenal gland, Nebenniere, glande surrénale, surrénale,
            glándula suprarrenal, suprarrenal, surrene, bijnier
        Glnd_Adrenals: adrenal glands, adrenals, Nebennieren, surrénales, bijnieren
        Ileum: Krummdarm, iléon, íleon, ileo, kronkeldarm
        Jejunum: Leerdarm, jéjunum, yeyuno, digiuno, nuchtere darm
        Kidney_*: ren, Niere, rein, riñón, rene, nier
        Kidneys: both kidneys, Nieren, reins, riñones, reni
        Liver: hepar, Leber, foie, hígado, fegato, lever
        Pancreas: Bauchspeicheldrüse, Pankreas, pancréas, páncreas, alvleesklier
        Skin: Haut, peau, piel, pelle, huid
        Spleen: lien, Milz, rate, bazo, milza, milt
        Stomach: gaster, Magen, estomac, estómago, stomaco, maag
        V_Portal: portal vein, Pfortader, veine porte, vena porta, poortader
        V_Venacava_I: inferior vena cava, V inferior vena cava, IVC, postcava, untere Hohlvene, veine cave inférieure,
            vena cava inferior,
            vena cava inferiore
    """,
    "pelvis": """
        A_Iliac_Cmn_*: common iliac artery, A common iliac, iliac artery, iliac artery common, artère iliaque commune,
            arteria ilíaca común
        Acetabulum_*: Hüftpfanne, Hueftpfanne, cotyle, acétabulum, acetábulo, acetabolo, heupkom
        Anorectum: ano rectum, anorektum
        Bladder: urinary bladder, vesica, vesica urinaria, Harnblase, Blase, vessie, vejiga, vescica, blaas
        Bone_Pelvic: pelvic bone, pelvic bones, pelvis bone, Beckenknochen, os du bassin, huesos pélvicos, ossa pelviche
        Canal_Anal: anal canal, anus, Analkanal, canal anal, conducto anal, canale anale, anaal kanaal
        Cervix: cervix uteri, uterine cervix, Gebärmutterhals, col de l'utérus, col utérin, cuello uterino,
            collo dell'utero, baarmoederhals
        Femur_*: femur, thigh bone, Oberschenkelknochen, fémur, femore, dijbeen
        Femur_Head_*: femoral head, fem head, femur head, head of femur, caput femoris, Femurkopf, Hüftkopf,
            Hueftkopf, tête fémorale,
            tête du fémur, cabeza femoral, testa femorale, testa del femore, femurkop, heupkop
        Genitals: external genitalia, genitalia, Genitalien, organes génitaux, genitales, genitali
        Ovary_*: ovary, ovarium, Eierstock, ovaire, ovario, eierstok
        PenileBulb: penile bulb, bulb of penis, bulbus penis, Peniswurzel, bulbe pénien, bulbe du pénis, bulbo peneano,
            bulbo penieno
        Prostate: prostata, prostate gland, próstata
        PubicSymphys: pubic symphysis, symphysis, symphysis pubica, Symphyse, Schambeinfuge, symphyse pubienne,
            sínfisis,
            sinfisi pubica, schaambeenvoeg
        Rectum: Rektum, Mastdarm, Enddarm, recto, retto, endeldarm
        Sacrum: sacral bone, Kreuzbein, os sacrum, sacro, osso sacro, heiligbeen
        Scrotum: Hodensack, escroto, scroto, balzak
        SeminalVes: seminal vesicle, seminal vesicles, SV, SVs, Samenblase, Samenblasen, vésicules séminales,
            vesículas seminales, vescicole seminali, zaadblaasjes
        Testis_*: testicle, testis, Hoden, testicule, testículo, testicolo, zaadbal
        Ureter_*: ureter, Harnleiter, uretère, uréter, uretere, urineleider
        Urethra: urethra, Harnröhre, urètre, uretra, plasbuis
        Uterus: womb, Gebärmutter, utérus, útero, utero, baarmoeder
        V_Iliac_Cmn_*: iliac vein, V common iliac, iliac vena, common iliac vein, Beckenvene, veine iliaque, vena ilíaca
        Vagina: Scheide, vagin
        Vulva: pudendum, vulve, schaamlippen
    """,
}


_ONE_PIECE = """
    Bone_Mandible Brain Brainstem Cavity_Oral Cerebellum Cochlea_* Eye_* Glnd_Lacrimal_* Glnd_Submand_* Glottis
    Hippocampus_* Larynx Larynx_SG Lens_* Lobe_Temporal_* Musc_Masseter_* Musc_Sclmast_* Parotid_* Pituitary SpinalCanal
    SpinalCord Tongue Tongue_Base
    Atrium_* Breast_* Clavicle_* Esophagus Heart Humerus_* Lung_* Lung_LLL Lung_LUL Lung_RLL Lung_RML Lung_RUL Trachea
    Ventricle_*
    Gallbladder Kidney_* Liver Pancreas Spleen Stomach
    Anorectum Bladder Canal_Anal Cervix Femur_* Femur_Head_* Ovary_* PenileBulb Prostate Rectum Sacrum Testis_* Uterus
"""
"""Rows of which a second piece on a CT is a mistake: one connected organ, drawn as such everywhere.

Not here: two organs or many under one name (Lungs, Kidneys, Ribs, SeminalVes, a thyroid whose isthmus may lack); what
folds through many planes (Bowel, Colon, Duodenum) or bends back (A_Aorta, Rib*), so that the image's edge cuts it in
pieces; what is so thin that its mask breaks (vessels, nerves, adrenals, constrictors, Scapula, Skull); a vertebra, of
which the arch is often lost from the body; and what clinics draw differently (Pharynx, GreatVes).
"""


_VERTEBRAE = {"C": 7, "T": 12, "L": 5, "S": 1}
"""How many of each part of the spine are named."""


def _rows() -> Iterator[Structure]:
    for region, text in _TABLE.items():
        for line in re.sub(r",\s+", ",", text.strip()).split("\n"):
            name, _, listed = line.strip().partition(": ")
            yield from _row(name, region, *listed.split(","))
    for part, count in _VERTEBRAE.items():
        for n in range(1, count + 1):
            number = f"{n:02d}" if count > 9 else f"{n}"
            yield from _row(f"VB_{part}{number}", "spine", f"vertebra {part}{n}", f"vertebrae {part}{n}")
    for n in range(1, 13):
        yield from _row(
            f"Rib{n:02d}_*", "thorax", *dict.fromkeys((f"rib {n}", f"rib {n:02d}")), f"Rippe {n}", f"côte {n}"
        )


def _row(name: str, region: str, *synonyms: str) -> Iterator[Structure]:
    for side in SIDES if name.endswith("_*") else (None,):
        yield Structure(name.replace("*", side or ""), region, side, synonyms, name in _ONE_PIECE.split())


STRUCTURES: dict[str, Structure] = {row.name: row for row in _rows()}
"""By standard name, in the order of the regions."""
